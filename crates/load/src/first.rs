//! When a viewer has its first picture, and when the second: without keeping a payload.

use sanderling_media::FrameMark;

/// Packets that are remembered before the first key frame is whole.
const LIMIT: usize = 1_024;

/// How far a viewer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key frame is whole.
    Key,
    /// A second frame is whole.
    Second,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    sequence: u64,
    timestamp: u32,
    mark: FrameMark,
    marker: bool,
}

/// Follows a source until its second frame.
#[derive(Debug, Default)]
pub(crate) struct FirstFrames {
    seen: Vec<Seen>,
    key: Option<(u64, u32)>,
}

impl FirstFrames {
    /// Take in a packet that was opened. Says what it completed.
    pub(crate) fn push(
        &mut self,
        sequence: u64,
        timestamp: u32,
        mark: FrameMark,
        marker: bool,
    ) -> Option<Step> {
        if self.key.is_some_and(|(end, _)| sequence <= end) {
            return None;
        }
        let seen = Seen {
            sequence,
            timestamp,
            mark,
            marker,
        };
        match self
            .seen
            .binary_search_by_key(&sequence, |seen| seen.sequence)
        {
            Ok(_) => return None,
            Err(place) => self.seen.insert(place, seen),
        }
        if self.seen.len() > LIMIT {
            self.seen.drain(..LIMIT / 2);
        }
        let (end, timestamp) = self.whole()?;
        let step = match self.key {
            None => Step::Key,
            Some(_) => Step::Second,
        };
        self.key = Some((end, timestamp));
        self.seen.retain(|seen| seen.sequence > end);
        Some(step)
    }

    /// Last packet and timestamp of the frame that is looked for.
    fn whole(&self) -> Option<(u64, u32)> {
        for (index, first) in self.seen.iter().enumerate() {
            let wanted = match self.key {
                None => first.mark.key_frame,
                Some((_, timestamp)) => first.mark.frame_start && first.timestamp != timestamp,
            };
            if !wanted {
                continue;
            }
            for (count, part) in self.seen[index..].iter().enumerate() {
                if part.sequence != first.sequence + count as u64
                    || part.timestamp != first.timestamp
                {
                    break;
                }
                if part.marker {
                    return Some((part.sequence, part.timestamp));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(key: bool, start: bool) -> FrameMark {
        FrameMark {
            frame_start: start,
            key_frame: key,
        }
    }

    #[test]
    fn the_first_picture_is_a_whole_key_frame_and_the_second_any_other_frame() {
        let mut first = FirstFrames::default();
        // The end of one frame and a whole delta frame show nothing.
        assert_eq!(first.push(1, 0, packet(false, false), true), None);
        assert_eq!(first.push(2, 1, packet(false, true), true), None);
        // A key frame of three packets, out of order.
        assert_eq!(first.push(3, 2, packet(true, true), false), None);
        assert_eq!(first.push(5, 2, packet(false, false), true), None);
        assert_eq!(first.push(5, 2, packet(false, false), true), None);
        assert_eq!(
            first.push(4, 2, packet(false, false), false),
            Some(Step::Key)
        );
        assert_eq!(first.push(4, 2, packet(false, false), false), None);
        assert_eq!(first.push(7, 3, packet(false, false), true), None);
        assert_eq!(
            first.push(6, 3, packet(false, true), false),
            Some(Step::Second)
        );
    }

    #[test]
    fn a_frame_with_a_gap_is_not_whole() {
        let mut first = FirstFrames::default();
        assert_eq!(first.push(1, 2, packet(true, true), false), None);
        assert_eq!(first.push(3, 2, packet(false, false), true), None);
        assert_eq!(first.push(4, 3, packet(false, true), true), None);
    }

    #[test]
    fn waiting_long_needs_no_more_memory() {
        let mut first = FirstFrames::default();
        for sequence in 0..10_000 {
            first.push(sequence, 1, packet(false, true), true);
        }
        assert!(first.seen.len() <= LIMIT);
        assert_eq!(
            first.push(20_000, 2, packet(true, true), true),
            Some(Step::Key)
        );
    }
}
