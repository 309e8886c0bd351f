//! The generator: threads, and what can be asked of them.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mio::{Poll, Waker};
use sanderling_media::{Codec, Kind};
use sanderling_rtc::Random;
use sanderling_rtc::client::{ClientTransport, Identity};

use crate::config::{Config, LoadError, MAX_SLOTS, MAX_THREADS, Report, bad};
use crate::exit::Clock;
use crate::frames::Frame;
use crate::pattern;
use crate::publisher::{Publisher, PublisherReport};
use crate::schedule::{Course, Pattern, Recorded};
use crate::sdp::{self, Description, Local, PublisherOffer, Unusable, VideoSources};
use crate::viewer::{Habits, Viewer, ViewerReport};
use crate::worker::{Job, Session, WAKE, Worker};

/// Low bits of a session's number that name its thread.
const THREAD_BITS: u32 = 8;

struct Thread {
    jobs: Sender<Job>,
    waker: Arc<Waker>,
    handle: JoinHandle<()>,
}

/// Viewers and publishers on threads of their own. Dropping it says goodbye and joins the threads.
pub struct Load {
    config: Config,
    clock: Clock,
    identity: Identity,
    random: Mutex<Random>,
    next: AtomicU64,
    /// The publishers' thread first. Empty once closed.
    threads: Mutex<Vec<Thread>>,
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The seed stays out of logs: passwords of ICE come of it.
        f.debug_struct("Load")
            .field("threads", &self.config.threads)
            .field("listen", &self.config.listen)
            .finish_non_exhaustive()
    }
}

impl Load {
    /// Start the threads.
    pub fn start(config: Config) -> Result<Self, LoadError> {
        // First of all: `clock_ns` was read just now, and a certificate takes tens of milliseconds.
        let epoch = Instant::now();
        if !(1..=MAX_THREADS).contains(&config.threads) {
            return bad(format!(
                "threads must be 1 to {MAX_THREADS}, not {}",
                config.threads
            ));
        }
        if config.listen.is_unspecified() || config.listen.is_multicast() {
            return bad(format!(
                "listen: {} is not an address that a server can answer; name one of this machine, e.g. 127.0.0.1",
                config.listen
            ));
        }
        if !(0.0..=1.0).contains(&config.loss) {
            return bad(format!(
                "loss must be a share from 0 to 1, not {}",
                config.loss
            ));
        }
        let identity = Identity::generate().ok_or_else(|| {
            let error = io::Error::other("the system gives no randomness");
            LoadError::System("cannot make a certificate".to_owned(), error)
        })?;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&config.seed.to_be_bytes());
        if config.seed == 0 && getrandom::fill(&mut seed).is_err() {
            let error = io::Error::other("the system gives no randomness");
            return Err(LoadError::System("cannot make a seed".to_owned(), error));
        }
        let load = Self {
            clock: Clock {
                epoch,
                epoch_ns: config.clock_ns,
            },
            random: Mutex::new(Random::new(identity.certificate(), seed)),
            identity,
            next: AtomicU64::new(1),
            threads: Mutex::default(),
            config,
        };
        for index in 0..=load.config.threads {
            let name = match index {
                0 => "load-publish".to_owned(),
                _ => format!("load-{index}"),
            };
            // A failure drops `load`, which joins the threads that run already.
            let thread = start_thread(name, epoch)
                .map_err(|error| LoadError::System("cannot start a thread".to_owned(), error))?;
            load.lock().push(thread);
        }
        Ok(load)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Thread>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Have something done by a thread, and wait for what comes of it.
    fn ask<T: Send + 'static>(
        &self,
        thread: usize,
        work: impl FnOnce(&mut Worker, Instant) -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        let (give, take) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |worker, now| {
            // Nobody waits any more when the asking thread is gone.
            let _ = give.send(work(worker, now));
        });
        {
            let threads = self.lock();
            let thread = threads.get(thread).ok_or(LoadError::Closed)?;
            thread.jobs.send(job).map_err(|_| LoadError::Closed)?;
            thread
                .waker
                .wake()
                .map_err(|error| LoadError::System("cannot wake a thread".to_owned(), error))?;
        }
        take.recv().map_err(|_| LoadError::Closed)
    }

    fn thread_of(&self, session: u64) -> Result<usize, LoadError> {
        let thread = (session & ((1 << THREAD_BITS) - 1)) as usize;
        match thread <= self.config.threads {
            true => Ok(thread),
            false => bad(unknown(session)),
        }
    }

    fn number(&self, publisher: bool) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let thread = match publisher {
            true => 0,
            false => 1 + number % self.config.threads as u64,
        };
        number << THREAD_BITS | thread
    }

    fn transport(&self, offers: bool) -> (ClientTransport, Random) {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let transport = ClientTransport::new(&self.identity, random.fork(), offers);
        (transport, random.fork())
    }

    fn habits(&self, checks: bool, random: &mut Random) -> Habits {
        Habits {
            checks,
            drops: (self.config.loss * 65_536.0) as u32,
            seed: u64::from(random.number()) << 32 | u64::from(random.number()),
            clock: self.clock,
        }
    }

    /// Open a viewer that offers `slots` sections of each wanted kind. Returns its number and the offer.
    pub fn open_viewer(
        &self,
        slots: usize,
        checks: bool,
        audio: bool,
        video: bool,
    ) -> Result<(u64, String), LoadError> {
        if !(1..=MAX_SLOTS).contains(&slots) {
            return bad(format!("slots must be 1 to {MAX_SLOTS}, not {slots}"));
        }
        if !audio && !video {
            return bad("a viewer needs audio or video: set one of them to True");
        }
        let id = self.number(false);
        let (transport, mut random) = self.transport(true);
        let habits = self.habits(checks, &mut random);
        let fingerprint = *self.identity.certificate().fingerprint();
        let listen = self.config.listen;
        let opened = self.ask(self.thread_of(id)?, move |worker, now| {
            let mut offer = String::new();
            let opened = worker.open(id, listen, |address| {
                let local = Local {
                    session: id,
                    ice: transport.credentials(),
                    fingerprint: &fingerprint,
                    address,
                };
                offer = sdp::offer_viewer(&local, slots, audio, video);
                let viewer = Viewer::new(now, transport, random.ssrc(), habits);
                Session::Viewer(Box::new(viewer))
            });
            opened.map(|()| offer)
        })?;
        Ok((id, opened.map_err(no_socket)?))
    }

    /// Open a viewer that answers a server's offer. Returns its number and the answer.
    pub fn accept_offer(&self, offer: &str, checks: bool) -> Result<(u64, String), LoadError> {
        let description = Description::parse(offer)?;
        let remote = description.remote(self.config.listen)?;
        let id = self.number(false);
        let (transport, mut random) = self.transport(false);
        let habits = self.habits(checks, &mut random);
        let fingerprint = *self.identity.certificate().fingerprint();
        let listen = self.config.listen;
        let opened = self.ask(self.thread_of(id)?, move |worker, now| {
            let mut answer = Err(Unusable::new("nothing was answered"));
            let opened = worker.open(id, listen, |address| {
                let local = Local {
                    session: id,
                    ice: transport.credentials(),
                    fingerprint: &fingerprint,
                    address,
                };
                answer = sdp::answer(&local, &description);
                let mut viewer = Viewer::new(now, transport, random.ssrc(), habits);
                if answer.is_ok() {
                    viewer.begin(now, &description, &remote);
                }
                Session::Viewer(Box::new(viewer))
            });
            match &answer {
                Ok(_) => worker.with(id, now, |_, _| {}).unwrap_or_default(),
                Err(_) => {
                    worker.close(id, now);
                }
            }
            opened.map(|()| answer)
        })?;
        Ok((id, opened.map_err(no_socket)??))
    }

    /// Open a publisher of one video codec. `obliges`: whether it makes a key frame when one is asked for (the pattern
    /// does; frames are the caller's affair). Returns its number and the offer.
    pub fn open_publisher(
        &self,
        codec: Codec,
        audio: bool,
        obliges: bool,
    ) -> Result<(u64, String), LoadError> {
        if codec.kind() != Kind::Video {
            return bad(format!(
                "a publisher sends video; {codec} is sound, which audio=True adds"
            ));
        }
        let id = self.number(true);
        let (transport, mut random) = self.transport(true);
        let sources = PublisherOffer {
            codec,
            video: VideoSources {
                media: random.ssrc(),
                repair: random.ssrc(),
            },
            audio: audio.then(|| random.ssrc()),
        };
        let fingerprint = *self.identity.certificate().fingerprint();
        let (listen, clock) = (self.config.listen, self.clock);
        let opened = self.ask(0, move |worker, _| {
            let mut offer = String::new();
            let opened = worker.open(id, listen, |address| {
                let local = Local {
                    session: id,
                    ice: transport.credentials(),
                    fingerprint: &fingerprint,
                    address,
                };
                offer = sdp::offer_publisher(&local, &sources);
                let publisher = Publisher::new(transport, sources, obliges, clock);
                Session::Publisher(Box::new(publisher))
            });
            opened.map(|()| offer)
        })?;
        Ok((id, opened.map_err(no_socket)?))
    }

    /// Give a session the server's answer; it begins to connect.
    pub fn answer(&self, session: u64, sdp: &str) -> Result<(), LoadError> {
        let description = Description::parse(sdp)?;
        let remote = description.remote(self.config.listen)?;
        let begun = self.ask(self.thread_of(session)?, move |worker, now| {
            worker.with(session, now, |session, _| {
                if session.transport().has_begun() {
                    return Err(Unusable::new(
                        "the session has its description already; open another one",
                    ));
                }
                match session {
                    Session::Viewer(viewer) => {
                        viewer.begin(now, &description, &remote);
                        Ok(())
                    }
                    Session::Publisher(publisher) => publisher.begin(now, &description, &remote),
                }
            })
        })?;
        match begun {
            Some(begun) => Ok(begun?),
            None => bad(unknown(session)),
        }
    }

    fn publisher<T: Send + 'static>(
        &self,
        session: u64,
        work: impl FnOnce(&mut Publisher, Instant, &mut crate::exit::Exit<'_>) -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        let done = self.ask(self.thread_of(session)?, move |worker, now| {
            worker.with(session, now, |session, exit| match session {
                Session::Publisher(publisher) => Some(work(publisher, now, exit)),
                Session::Viewer(_) => None,
            })
        })?;
        match done.flatten() {
            Some(done) => Ok(done),
            None => bad(format!("there is no publisher {session}")),
        }
    }

    fn viewer<T: Send + 'static>(
        &self,
        session: u64,
        work: impl FnOnce(&mut Viewer) -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        let done = self.ask(self.thread_of(session)?, move |worker, _| {
            worker.look(session, |session| match session {
                Session::Viewer(viewer) => Some(work(viewer)),
                Session::Publisher(_) => None,
            })
        })?;
        match done.flatten() {
            Some(done) => Ok(done),
            None => bad(format!("there is no viewer {session}")),
        }
    }

    /// Packetise an encoded frame and send it now. `rtp_timestamp` counts 90 kHz.
    pub fn frame(
        &self,
        publisher: u64,
        data: Vec<u8>,
        rtp_timestamp: u32,
        key_frame: bool,
    ) -> Result<(), LoadError> {
        let sent = self.publisher(publisher, move |publisher, now, exit| {
            publisher.frame(now, &data, rtp_timestamp, key_frame, exit)
        })?;
        Ok(sent?)
    }

    /// Begin to send the pattern, or another one.
    pub fn start_pattern(&self, publisher: u64, pattern: Pattern) -> Result<(), LoadError> {
        let Pattern {
            packets_per_second,
            packet_bytes,
            burst,
            gop_packets,
        } = pattern;
        if !(1..=1_000_000).contains(&packets_per_second) {
            return bad(format!(
                "packets_per_second must be 1 to 1000000, not {packets_per_second}"
            ));
        }
        if !(pattern::LEAST..=pattern::MOST).contains(&packet_bytes) {
            return bad(format!(
                "packet_bytes must be {} to {}, not {packet_bytes}",
                pattern::LEAST,
                pattern::MOST
            ));
        }
        if !(1..=256).contains(&burst) {
            return bad(format!("burst must be 1 to 256 packets, not {burst}"));
        }
        if gop_packets < u64::from(burst) {
            return bad(format!(
                "gop_packets must be at least one burst ({burst}), not {gop_packets}"
            ));
        }
        let started = self.publisher(publisher, move |publisher, now, _| {
            publisher.start_pattern(now, Course::Equal(pattern))
        })?;
        Ok(started?)
    }

    /// Begin to send the pattern in the pictures of a recorded GOP.
    pub fn start_recorded(&self, publisher: u64, recorded: Recorded) -> Result<(), LoadError> {
        let course = Course::recorded(recorded).or_else(bad)?;
        let started = self.publisher(publisher, move |publisher, now, _| {
            publisher.start_pattern(now, course)
        })?;
        Ok(started?)
    }

    /// Stop the pattern. Returns how many of its packets were sent.
    pub fn stop_pattern(&self, publisher: u64) -> Result<u64, LoadError> {
        self.publisher(publisher, |publisher, _, _| publisher.stop_pattern())
    }

    /// What a publisher did.
    pub fn publisher_report(&self, publisher: u64) -> Result<PublisherReport, LoadError> {
        self.publisher(publisher, |publisher, _, _| publisher.report())
    }

    /// What a viewer has seen.
    pub fn viewer_report(&self, viewer: u64) -> Result<ViewerReport, LoadError> {
        self.viewer(viewer, |viewer| viewer.report())
    }

    /// Whole frames of a viewer that checks, which are taken away from it.
    pub fn take_frames(&self, viewer: u64) -> Result<Vec<Frame>, LoadError> {
        self.viewer(viewer, Viewer::take_frames)
    }

    /// Counts over all viewers.
    pub fn report(&self) -> Result<Report, LoadError> {
        let mut report = Report::default();
        for thread in 0..=self.config.threads {
            report = self.ask(thread, move |worker, _| {
                worker.report(&mut report);
                report
            })?;
        }
        Ok(report)
    }

    /// Say goodbye to the server and forget the session.
    pub fn close_session(&self, session: u64) -> Result<(), LoadError> {
        let closed = self.ask(self.thread_of(session)?, move |worker, now| {
            worker.close(session, now)
        })?;
        match closed {
            true => Ok(()),
            false => bad(unknown(session)),
        }
    }

    /// Say goodbye everywhere, stop and join the threads. Once is enough; more do nothing.
    pub fn close(&self) {
        let threads = std::mem::take(&mut *self.lock());
        for Thread {
            jobs,
            waker,
            handle,
        } in threads
        {
            // Without a sender left the thread ends when it is woken.
            drop(jobs);
            let _ = waker.wake();
            // A panic was printed by its thread already.
            let _ = handle.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.close();
    }
}

fn start_thread(name: String, now: Instant) -> io::Result<Thread> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (jobs, take) = mpsc::channel();
    let worker = Worker::new(poll, take, now);
    let handle = thread::Builder::new()
        .name(name)
        .spawn(move || worker.run())?;
    Ok(Thread {
        jobs,
        waker,
        handle,
    })
}

fn unknown(session: u64) -> String {
    format!("there is no session {session}: it was closed, or never opened")
}

fn no_socket(error: io::Error) -> LoadError {
    let text = "cannot open a socket for the session (each takes one file descriptor: raise `ulimit -n`, and name \
                an address of this machine in listen)";
    LoadError::System(text.to_owned(), error)
}
