//! A session that begins with an offer of our own.

use std::time::Instant;

use super::EgressViewer;
use super::agreement::Agreement;
use crate::config::Config;
use crate::sdp::Rejected;
use crate::track::TrackInfo;

impl EgressViewer {
    /// Offer a stream of these tracks. Returns the session and the offer.
    ///
    /// The session hears nobody until [`EgressViewer::accept`]: checks that arrive before the answer are passed over in
    /// silence, and the player sends them again.
    pub fn offer(
        now: Instant,
        tracks: &[TrackInfo],
        config: Config,
    ) -> Result<(Self, String), Rejected> {
        if tracks.is_empty() {
            return Err(Rejected::whole(
                "the stream has neither audio nor video to offer",
            ));
        }
        let (agreement, credentials) = Agreement::offering(tracks, config);
        let mut session = Self::new(now, agreement, credentials);
        session.awaits_answer = true;
        session.agreement.grow(&mut session.slots);
        let offer = session.describe("actpass");
        Ok((session, offer))
    }

    /// Take the answer to our offer; the session is as before when it cannot be used.
    pub fn accept(&mut self, answer: &str) -> Result<(), Rejected> {
        if !self.awaits_answer {
            return Err(Rejected::whole(
                "the session has no offer that waits for an answer",
            ));
        }
        self.agreement.accept(answer)?;
        let credentials = self.ice.credentials().clone();
        self.ice
            .restart(credentials, &self.agreement.negotiated.remote.fragment);
        self.agreement.grow(&mut self.slots);
        for outlet in self.slots.iter_mut().flatten().flatten() {
            outlet.agree(&self.agreement.negotiated.sections[outlet.section]);
        }
        self.awaits_answer = false;
        self.drained = false;
        self.count_transport();
        self.agreement.trim();
        Ok(())
    }
}
