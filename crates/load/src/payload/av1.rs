//! AV1 (AOM "RTP Payload Format For AV1"), one element a packet; frames are OBUs with sizes.

const TEMPORAL_DELIMITER: u8 = 2;
/// Bits of an OBU header.
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;
/// Bits of an aggregation header.
const CONTINUES: u8 = 0x80;
const CONTINUED: u8 = 0x40;
const ONE_ELEMENT: u8 = 0x10;
const NEW_SEQUENCE: u8 = 0x08;

/// Read a number of at most eight bytes: its value and size.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, index + 1));
        }
    }
    None
}

fn write_leb128(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// OBUs of a frame without their sizes and without temporal delimiters, which are not sent.
fn units(mut frame: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    while let Some(&head) = frame.first() {
        let header = 1 + usize::from(head & HAS_EXTENSION != 0);
        let (size, digits) = match head & HAS_SIZE {
            0 => (frame.len().checked_sub(header)?, 0),
            _ => leb128(frame.get(header..)?)?,
        };
        let body = frame.get(header + digits..)?.get(..size)?;
        if head >> 3 & 0x0f != TEMPORAL_DELIMITER {
            let mut unit = frame[..header].to_vec();
            unit[0] &= !HAS_SIZE;
            unit.extend_from_slice(body);
            all.push(unit);
        }
        frame = &frame[header + digits + size..];
    }
    (!all.is_empty()).then_some(all)
}

pub(super) fn pack(frame: &[u8], key_frame: bool, limit: usize) -> Option<Vec<Vec<u8>>> {
    let mut payloads = Vec::new();
    for unit in units(frame)? {
        let count = unit.len().div_ceil(limit - 1);
        for (index, part) in unit.chunks(limit - 1).enumerate() {
            let mut head = ONE_ELEMENT;
            head |= if index > 0 { CONTINUES } else { 0 };
            head |= if index + 1 < count { CONTINUED } else { 0 };
            head |= if key_frame && payloads.is_empty() {
                NEW_SEQUENCE
            } else {
                0
            };
            payloads.push([&[head][..], part].concat());
        }
    }
    Some(payloads)
}

pub(super) fn unpack<'a>(payloads: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut frame = vec![TEMPORAL_DELIMITER << 3 | HAS_SIZE, 0];
    let mut partial: Vec<u8> = Vec::new();
    let mut any = false;
    for payload in payloads {
        let (&head, mut rest) = payload.split_first()?;
        if (head & CONTINUES != 0) == partial.is_empty() {
            return None;
        }
        let count = usize::from(head >> 4 & 3);
        let mut index = 0;
        while !rest.is_empty() {
            index += 1;
            // With a count, the last element has no size in front.
            let (size, digits) = match index == count {
                true => (rest.len(), 0),
                false => leb128(rest)?,
            };
            let element = rest.get(digits..)?.get(..size)?;
            rest = &rest[digits + size..];
            partial.extend_from_slice(element);
            if rest.is_empty() && head & CONTINUED != 0 {
                break;
            }
            finish(&mut frame, &partial)?;
            partial.clear();
            any = true;
        }
    }
    (any && partial.is_empty()).then_some(frame)
}

/// Append an OBU with its size.
fn finish(frame: &mut Vec<u8>, unit: &[u8]) -> Option<()> {
    let header = 1 + usize::from(unit.first()? & HAS_EXTENSION != 0);
    let (front, body) = unit.split_at_checked(header)?;
    frame.push(front[0] | HAS_SIZE);
    frame.extend_from_slice(&front[1..]);
    write_leb128(frame, body.len());
    frame.extend_from_slice(body);
    Some(())
}
