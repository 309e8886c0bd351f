//! What a viewer says over RTCP.

use std::net::SocketAddr;
use std::time::Instant;

use super::Viewer;
use crate::exit::Exit;
use crate::rtcp::{self, Block, Writer};
use crate::source::Source;

/// Room for one RTCP packet, so that it fits any path.
const RTCP_LIMIT: usize = 1_100;
/// Canonical name of all viewers: nobody looks for two.
const NAME: &str = "load";

impl Viewer {
    fn send(&mut self, to: SocketAddr, length: usize, exit: &mut Exit<'_>) {
        if let Some(length) = self.transport.seal_rtcp(exit.buffer, length) {
            exit.send(to, length);
        }
    }

    /// Transport-wide feedback on what came since the last.
    pub(super) fn send_feedback(&mut self, now: Instant, to: SocketAddr, exit: &mut Exit<'_>) {
        let media = self.sources.first().map_or(0, |source| source.ssrc);
        while self.arrivals.is_due() {
            let mut writer = Writer::new(&mut exit.buffer[..RTCP_LIMIT]);
            if let (false, Some(source)) = (self.reduced, self.sources.first_mut()) {
                compound(&mut writer, now, self.ssrc, source);
            }
            let before = writer.len();
            let room = &mut exit.buffer[before..RTCP_LIMIT];
            let Some(length) = self.arrivals.write(room, self.ssrc, media) else {
                return;
            };
            self.send(to, before + length, exit);
        }
    }

    /// A receiver report on every source.
    pub(super) fn send_report(&mut self, now: Instant, to: SocketAddr, exit: &mut Exit<'_>) {
        let mut blocks = [Block::default(); rtcp::BLOCK_LIMIT];
        let mut count = 0;
        // More sources than fit take turns.
        let all = self.sources.len();
        for step in 0..all.min(rtcp::BLOCK_LIMIT) {
            let source = &mut self.sources[(self.report_from + step) % all];
            if let Some(block) = source.reception.report(now, source.ssrc) {
                blocks[count] = block;
                count += 1;
            }
        }
        self.report_from = (self.report_from + rtcp::BLOCK_LIMIT) % all.max(1);
        let mut writer = Writer::new(&mut exit.buffer[..RTCP_LIMIT]);
        if writer
            .receiver_report(self.ssrc, &blocks[..count])
            .is_some()
        {
            let length = writer.len();
            self.send(to, length, exit);
        }
    }

    /// Ask for packets and key frames that are missing.
    pub(super) fn ask(&mut self, now: Instant, to: SocketAddr, exit: &mut Exit<'_>) {
        let round_trip = self.round_trip();
        for index in 0..self.sources.len() {
            let source = &mut self.sources[index];
            if source.wake_at(round_trip).is_none_or(|at| at > now) {
                continue;
            }
            source.give_up(now);
            let mut writer = Writer::new(&mut exit.buffer[..RTCP_LIMIT]);
            if !self.reduced {
                compound(&mut writer, now, self.ssrc, source);
            }
            let before = writer.len();
            if source.asks {
                source.reception.ask(now, round_trip, &mut self.asks);
                if !self.asks.is_empty() {
                    let asked = self.asks.iter().copied();
                    let _ = writer.missing(self.ssrc, source.ssrc, asked);
                    self.totals.nacks_sent += self.asks.len() as u64;
                }
            }
            if source.asks_for_key_frame(now) {
                let _ = writer.picture_loss(self.ssrc, source.ssrc);
                self.totals.key_frames_asked += 1;
            }
            let length = writer.len();
            if length > before {
                self.send(to, length, exit);
            }
        }
    }
}

/// Begin a compound packet about a source (RFC 3550 section 6.1). Who has not agreed to less may tell only by its
/// report block which of its sources a request means, as Janus does.
fn compound(writer: &mut Writer<'_>, now: Instant, sender: u32, source: &mut Source) {
    let block = source.reception.report(now, source.ssrc);
    // It stands at the start of an empty packet, which has room for it.
    let _ = writer
        .receiver_report(sender, block.as_slice())
        .and_then(|()| writer.name(sender, NAME));
}
