//! Everything a worker holds, as JSON for people.

use std::time::Instant;

use sanderling_rtc::{Session, TrackInfo};

use super::Worker;
use crate::SessionId;
use crate::json::Json;
use crate::publish::Stream;
use crate::session_life::SessionLife;

fn sorted<T: Copy + Ord>(keys: impl Iterator<Item = T>) -> Vec<T> {
    let mut keys: Vec<T> = keys.collect();
    keys.sort_unstable();
    keys
}

fn track(json: &mut Json, track: &TrackInfo) {
    json.object(|json| {
        json.key("kind", |json| json.string(track.kind.as_str()));
        json.key("codec", |json| json.string(&track.codec_text()));
        json.key("mid", |json| json.string(&track.mid));
        json.key("layers", |json| json.plain(track.layers));
    });
}

/// What is cached of a layer.
fn cached(json: &mut Json, now: Instant, stream: &Stream, layer: u8) {
    let rate = stream.layers.rate(layer, now);
    json.key("layer", |json| json.plain(layer));
    json.key("bits_per_second", |json| json.plain(rate as u64));
    stream.store.gop(layer, |gop| {
        json.key("cached_bytes", |json| json.plain(gop.bytes()));
        json.key("cached_packets", |json| json.plain(gop.len()));
        json.key("cached_frames", |json| json.plain(gop.frames()));
        json.key("cached_span_ms", |json| json.plain(gop.span() / 90));
        json.key("overflowed", |json| json.plain(gop.overflowed()));
        if let Some(key) = gop.key_frame() {
            let age = now.saturating_duration_since(key.arrival);
            json.key("key_frame_bytes", |json| json.plain(key.bytes));
            json.key("key_frame_age_ms", |json| json.plain(age.as_millis()));
        }
    });
}

impl Worker {
    /// Describe the worker. Addresses stand in it and keys do not.
    pub(super) fn snapshot(&self, now: Instant) -> String {
        let mut json = Json::new();
        json.object(|json| {
            json.key("worker", |json| json.plain(self.id.0));
            json.key("datagrams", |json| json.plain(self.counters.datagrams));
            json.key("datagrams_dropped", |json| {
                json.plain(self.counters.datagrams_dropped)
            });
            json.key("packets_in", |json| json.plain(self.counters.packets_in));
            json.key("packets_out", |json| json.plain(self.counters.packets_out));
            json.key("drain_steps", |json| json.plain(self.counters.drain_steps));
            json.key("timers", |json| json.plain(self.schedule.len()));
            json.key("publishers", |json| {
                json.array(sorted(self.publishers.keys().copied()), |json, id| {
                    let publisher = &self.publishers[&id];
                    json.object(|json| {
                        self.session(json, now, id, &publisher.session, &publisher.life);
                        json.key("tracks", |json| {
                            json.array(publisher.session.tracks(), track)
                        });
                    });
                })
            });
            json.key("viewers", |json| {
                json.array(sorted(self.viewers.keys().copied()), |json, id| {
                    let viewer = &self.viewers[&id];
                    json.object(|json| {
                        self.session(json, now, id, &viewer.session, &viewer.life);
                        json.key("slots", |json| json.plain(viewer.session.slots()));
                        if let Some(bits) = viewer.safety.estimate() {
                            json.key("estimate_bps", |json| json.plain(bits as u64));
                        }
                        json.key("layers_down", |json| json.plain(viewer.safety.steps()));
                        if let Some(share) = viewer.safety.share() {
                            json.key("pictures_share", |json| json.plain(share));
                        }
                        json.key("pictures_paused", |json| {
                            json.plain(viewer.safety.is_paused());
                        });
                        json.key("bindings", |json| {
                            json.array(viewer.bindings(), |json, (slot, binding)| {
                                json.object(|json| {
                                    json.key("slot", |json| json.plain(slot));
                                    json.key("stream", |json| json.plain(binding.stream.0));
                                    json.key("audio", |json| json.plain(binding.audio));
                                    json.key("video", |json| json.plain(binding.video));
                                    json.key("waits_for_key_frame", |json| {
                                        json.plain(viewer.waits(slot).is_some())
                                    });
                                    json.key("mode", |json| {
                                        json.string(binding.feed.mode().as_str());
                                    });
                                    json.key("choice", |json| {
                                        json.string(&format!("{:?}", binding.feed.choice));
                                    });
                                    json.key("delay_limit_ms", |json| {
                                        json.plain(u32::from(binding.feed.delay.max) * 10);
                                    });
                                    json.key("wanted_layer", |json| {
                                        json.plain(binding.feed.wanted);
                                    });
                                    if let Some(layer) = viewer.layer(slot) {
                                        json.key("layer", |json| json.plain(layer));
                                    }
                                });
                            })
                        });
                    });
                })
            });
            json.key("streams", |json| {
                json.array(sorted(self.streams.keys().copied()), |json, id| {
                    let stream = &self.streams[&id];
                    let (requests, key_frames) = stream.key_frame_counts();
                    json.object(|json| {
                        json.key("stream", |json| json.plain(id.0));
                        json.key("origin", |json| json.plain(stream.origin.0));
                        json.key("viewers", |json| json.plain(stream.viewers.len()));
                        json.key("pending_binds", |json| json.plain(stream.pending.len()));
                        json.key("pulled_by", |json| {
                            json.array(&stream.pulled_by, |json, worker| json.plain(worker.0))
                        });
                        json.key("best_layer", |json| json.plain(stream.best_layer()));
                        if let Some(answers) = stream.answers() {
                            json.key("answers_key_frame_requests", |json| json.plain(answers));
                        }
                        json.key("layers", |json| {
                            json.array(0..stream.store.layer_count(), |json, layer| {
                                json.object(|json| cached(json, now, stream, layer));
                            })
                        });
                        json.key("key_frame_requests", |json| json.plain(requests));
                        json.key("key_frames", |json| json.plain(key_frames));
                        json.key("tracks", |json| {
                            json.array(stream.tracks.iter().flat_map(|tracks| tracks.iter()), track)
                        });
                    });
                })
            });
        });
        json.finish()
    }

    fn session(
        &self,
        json: &mut Json,
        now: Instant,
        id: SessionId,
        session: &impl Session,
        life: &SessionLife,
    ) {
        let totals = session.statistics();
        json.key("session", |json| json.plain(id.0));
        json.key("connected", |json| json.plain(life.connected()));
        json.key("age_ms", |json| json.plain(life.age(now).as_millis()));
        json.key("silent_ms", |json| {
            json.plain(life.silence(now).as_millis())
        });
        json.key("packets", |json| json.plain(totals.packets));
        json.key("bytes", |json| json.plain(totals.bytes));
        json.key("lost", |json| json.plain(totals.lost));
        json.key("nacks", |json| json.plain(totals.nacks));
        json.key("retransmitted", |json| json.plain(totals.retransmitted));
        if let Some(protection) = session.protection() {
            json.key("protection", |json| json.string(protection));
        }
        json.key("paths", |json| {
            json.array(self.demux.paths(id), |json, path| {
                json.object(|json| {
                    json.key("protocol", |json| {
                        json.string(match path.protocol {
                            crate::Protocol::Udp => "udp",
                            crate::Protocol::Tcp => "tcp",
                        })
                    });
                    json.key("local", |json| json.string(&path.local.to_string()));
                    json.key("remote", |json| json.string(&path.remote.to_string()));
                });
            })
        });
    }
}
