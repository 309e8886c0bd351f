//! H.264 (RFC 6184), packetization mode 1; frames are byte streams with start codes (Annex B).

const FU_A: u8 = 28;
const STAP_A: u8 = 24;
const START: [u8; 4] = [0, 0, 0, 1];

/// NAL units of a byte stream.
fn units(frame: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(window) = frame.get(at..at + 3) {
        if window == [0, 0, 1] {
            starts.push(at);
            at += 3;
        } else {
            at += 1;
        }
    }
    let ends = starts.iter().skip(1).copied().chain([frame.len()]);
    let units = starts.iter().zip(ends).map(|(start, end)| {
        let unit = &frame[start + 3..end];
        // The zeros before a start code belong to it: a unit never ends with one (H.264 section 7.4.1).
        let length = unit
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        &unit[..length]
    });
    units.filter(|unit| !unit.is_empty()).collect()
}

pub(super) fn pack(frame: &[u8], limit: usize) -> Option<Vec<Vec<u8>>> {
    let mut payloads = Vec::new();
    for unit in units(frame) {
        if unit.len() <= limit {
            payloads.push(unit.to_vec());
            continue;
        }
        let (indicator, kind) = (unit[0] & 0x60 | FU_A, unit[0] & 0x1f);
        let body = &unit[1..];
        let count = body.len().div_ceil(limit - 2);
        for (index, part) in body.chunks(limit - 2).enumerate() {
            let starts = if index == 0 { 0x80 } else { 0 };
            let ends = if index + 1 == count { 0x40 } else { 0 };
            payloads.push([&[indicator, kind | starts | ends][..], part].concat());
        }
    }
    (!payloads.is_empty()).then_some(payloads)
}

pub(super) fn unpack<'a>(payloads: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    let mut add = |parts: &[&[u8]]| {
        frame.extend_from_slice(&START);
        parts.iter().for_each(|part| frame.extend_from_slice(part));
    };
    let mut fragments: Option<Vec<u8>> = None;
    for payload in payloads {
        let (first, body) = payload.split_first()?;
        match first & 0x1f {
            FU_A => {
                let (head, part) = body.split_first()?;
                if head & 0x80 != 0 {
                    fragments = Some(vec![first & 0xe0 | head & 0x1f]);
                }
                let unit = fragments.as_mut()?;
                unit.extend_from_slice(part);
                if head & 0x40 != 0 {
                    add(&[unit]);
                    fragments = None;
                }
            }
            STAP_A => {
                let mut rest = body;
                while !rest.is_empty() {
                    let (size, after) = rest.split_at_checked(2)?;
                    let size = usize::from(u16::from_be_bytes([size[0], size[1]]));
                    let (unit, after) = after.split_at_checked(size)?;
                    add(&[unit]);
                    rest = after;
                }
            }
            1..=23 => add(&[payload]),
            _ => return None,
        }
    }
    (fragments.is_none() && !frame.is_empty()).then_some(frame)
}
