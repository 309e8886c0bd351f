//! Encoded frames out of packets, in order.

use std::collections::{BTreeMap, VecDeque};

use sanderling_media::{Codec, FrameMark};

use crate::payload;

/// Packets that wait for others.
const PACKET_LIMIT: usize = 4_096;
/// Frames that wait to be taken; the oldest go first.
const FRAME_LIMIT: usize = 4_096;

/// One encoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The bitstream: VP8 and VP9 frames, H.264 with start codes, AV1 as OBUs with sizes.
    pub data: Vec<u8>,
    /// RTP timestamp, 90 kHz.
    pub rtp_timestamp: u32,
    /// Whether a decoder can start from it.
    pub key_frame: bool,
    /// When its last packet came, nanoseconds of the caller's clock.
    pub arrival_ns: u64,
}

#[derive(Debug)]
struct Part {
    codec: Codec,
    timestamp: u32,
    marker: bool,
    mark: FrameMark,
    payload: Vec<u8>,
    arrival_ns: u64,
}

/// Puts the frames of one source together.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    parts: BTreeMap<u64, Part>,
    /// First packet that belongs to no frame yet.
    next: Option<u64>,
    frames: VecDeque<Frame>,
}

/// A packet of media, opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Media<'a> {
    pub codec: Codec,
    pub sequence: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub mark: FrameMark,
    pub payload: &'a [u8],
    pub arrival_ns: u64,
}

impl Assembler {
    /// Take in a packet.
    pub(crate) fn push(&mut self, media: &Media<'_>) {
        let next = *self.next.get_or_insert(media.sequence);
        if media.sequence < next {
            return;
        }
        if self.parts.len() == PACKET_LIMIT {
            self.skip();
        }
        let part = Part {
            codec: media.codec,
            timestamp: media.timestamp,
            marker: media.marker,
            mark: media.mark,
            payload: media.payload.to_vec(),
            arrival_ns: media.arrival_ns,
        };
        self.parts.insert(media.sequence, part);
        self.assemble();
    }

    /// Packets before the next whole frame will not come any more.
    pub(crate) fn skip(&mut self) {
        // What is left of a frame that has lost its beginning or its middle is of no use.
        let mut expected = self.next.unwrap_or_default();
        let mut broken = false;
        let mut resume = None;
        for (sequence, part) in &self.parts {
            broken |= *sequence != expected;
            if broken && part.mark.frame_start {
                resume = Some(*sequence);
                break;
            }
            expected = *sequence + 1;
        }
        let end = self.parts.last_key_value().map(|(last, _)| last + 1);
        if let Some(resume) = resume.or(end.filter(|_| broken)) {
            self.parts = self.parts.split_off(&resume);
            self.next = Some(resume);
            self.assemble();
        }
    }

    fn assemble(&mut self) {
        while let Some(end) = self.whole() {
            let rest = self.parts.split_off(&(end + 1));
            let parts = std::mem::replace(&mut self.parts, rest);
            self.next = Some(end + 1);
            let used = || parts.values().filter(|part| !part.payload.is_empty());
            let Some(first) = used().next() else {
                continue;
            };
            // Packets from before the first beginning of a frame are of a frame that began before us.
            if !first.mark.frame_start {
                continue;
            }
            let payloads = used().map(|part| part.payload.as_slice());
            let Some(data) = payload::unpack(first.codec, payloads) else {
                continue;
            };
            if self.frames.len() == FRAME_LIMIT {
                self.frames.pop_front();
            }
            self.frames.push_back(Frame {
                data,
                rtp_timestamp: first.timestamp,
                key_frame: first.mark.key_frame,
                arrival_ns: used().map(|part| part.arrival_ns).max().unwrap_or_default(),
            });
        }
    }

    /// The last packet of the next frame, when all of it is there.
    fn whole(&self) -> Option<u64> {
        for (expected, (sequence, part)) in (self.next?..).zip(&self.parts) {
            if *sequence != expected {
                return None;
            }
            if part.marker {
                return Some(expected);
            }
        }
        None
    }

    /// Frames that are whole, oldest first.
    pub(crate) fn take(&mut self) -> Vec<Frame> {
        self.frames.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sanderling_media::codec::mark;

    /// Three VP8 frames of two packets each: (number, payload, marker, timestamp).
    fn packets() -> Vec<(u64, Vec<u8>, bool, u32)> {
        let mut all = Vec::new();
        for frame in 0..3_u64 {
            let tag = u8::from(frame > 0);
            all.push((
                10 + 2 * frame,
                vec![0x10, tag, frame as u8],
                false,
                frame as u32,
            ));
            all.push((11 + 2 * frame, vec![0x00, 7], true, frame as u32));
        }
        all
    }

    fn push(
        assembler: &mut Assembler,
        (sequence, payload, marker, timestamp): &(u64, Vec<u8>, bool, u32),
    ) {
        assembler.push(&Media {
            codec: Codec::Vp8,
            sequence: *sequence,
            timestamp: *timestamp,
            marker: *marker,
            mark: mark(Codec::Vp8, payload),
            payload,
            arrival_ns: 100 - sequence,
        });
    }

    #[test]
    fn frames_are_put_together_in_order_whatever_the_order_of_packets() {
        let packets = packets();
        let mut assembler = Assembler::default();
        for index in [0, 3, 2, 5, 1, 4] {
            push(&mut assembler, &packets[index]);
        }
        let frames = assembler.take();
        assert_eq!(frames.len(), 3);
        for (number, frame) in frames.iter().enumerate() {
            assert_eq!(frame.data, [u8::from(number > 0), number as u8, 7]);
            assert_eq!(
                (frame.rtp_timestamp, frame.key_frame),
                (number as u32, number == 0)
            );
            assert_eq!(frame.arrival_ns, 90 - 2 * number as u64);
        }
        assert!(assembler.take().is_empty());
    }

    #[test]
    fn a_lost_packet_costs_its_frame_alone() {
        let packets = packets();
        let mut assembler = Assembler::default();
        for index in [0, 1, 2, 4, 5] {
            push(&mut assembler, &packets[index]);
        }
        assert_eq!(assembler.take().len(), 1);
        assembler.skip();
        let frames = assembler.take();
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].rtp_timestamp, 2);
    }

    #[test]
    fn joining_in_the_middle_of_a_frame_begins_with_the_next() {
        let packets = packets();
        let mut assembler = Assembler::default();
        packets[1..]
            .iter()
            .for_each(|packet| push(&mut assembler, packet));
        assert_eq!(assembler.take().len(), 2);
    }
}
