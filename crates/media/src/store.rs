//! Sent packets, kept once for everybody who may ask for them again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::GopCache;
use crate::packet::Packet;

/// Time that a packet stays worth repeating. A receiver of live pictures asks for a key frame long before.
const REPAIR_AGE: Duration = Duration::from_secs(2);

/// Slots of a layer's ring at first and at most: 2 s at 100 kb/s and at 24 Mb/s.
const LEAST: usize = 64;
const MOST: usize = 4096;
/// Layers that are kept; a sender has at most a handful.
const LAYER_LIMIT: usize = 16;

/// The last packets of each layer of one track. Clones share them: the owner of a stream keeps each packet once, and
/// every viewer's session looks there for what its peer missed. Beside them stands what came since the last key frame,
/// for those who come later. The lock is taken once per packet that comes in, once per packet that is repeated and
/// once per piece of a replay, by one thread, so it is never contended.
#[derive(Debug, Clone, Default)]
pub struct LayerStore {
    layers: Arc<Mutex<Vec<Layer>>>,
}

#[derive(Debug, Default)]
struct Layer {
    ring: Ring,
    gop: GopCache,
}

/// Packets of one layer, by the low bits of their sequence number.
#[derive(Debug, Default)]
struct Ring {
    slots: Vec<Option<Packet>>,
}

impl Ring {
    fn place(&self, sequence: u64) -> usize {
        sequence as usize & (self.slots.len() - 1)
    }

    fn keep(&mut self, packet: &Packet) {
        if self.slots.is_empty() {
            self.slots.resize(LEAST, None);
        }
        while let Some(old) = &self.slots[self.place(packet.sequence)] {
            if old.sequence >= packet.sequence {
                // A repaired packet that came so late that its place is taken.
                return;
            }
            let age = packet.arrival.saturating_duration_since(old.arrival);
            if age >= REPAIR_AGE || self.slots.len() >= MOST {
                break;
            }
            self.grow();
        }
        let place = self.place(packet.sequence);
        self.slots[place] = Some(packet.clone());
    }

    fn find(&self, sequence: u32) -> Option<Packet> {
        if self.slots.is_empty() {
            return None;
        }
        let packet = self.slots[self.place(sequence.into())].as_ref()?;
        (packet.sequence as u32 == sequence).then(|| packet.clone())
    }

    fn grow(&mut self) {
        let length = self.slots.len() * 2;
        let old = std::mem::replace(&mut self.slots, vec![None; length]);
        for packet in old.into_iter().flatten() {
            let place = self.place(packet.sequence);
            self.slots[place] = Some(packet);
        }
    }
}

impl LayerStore {
    fn layers(&self) -> MutexGuard<'_, Vec<Layer>> {
        // Nothing in here panics half-way through a change.
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keep a packet. True when a key frame begins with it.
    pub fn keep(&self, packet: &Packet) -> bool {
        let layer = usize::from(packet.layer);
        if layer >= LAYER_LIMIT {
            return false;
        }
        let mut layers = self.layers();
        if layers.len() <= layer {
            layers.resize_with(layer + 1, Layer::default);
        }
        layers[layer].ring.keep(packet);
        layers[layer].gop.keep(packet)
    }

    /// Look at what came on a layer since its last key frame.
    pub fn gop<T>(&self, layer: u8, look: impl FnOnce(&GopCache) -> T) -> T {
        match self.layers().get(usize::from(layer)) {
            Some(layer) => look(&layer.gop),
            None => look(&GopCache::default()),
        }
    }

    /// Layers that something came on.
    pub fn layer_count(&self) -> u8 {
        self.layers().len() as u8
    }

    /// A copy for another worker, without the packets that are kept for repair alone. Payloads are shared.
    pub fn gops(&self) -> Vec<GopCache> {
        let layers = self.layers();
        layers.iter().map(|layer| layer.gop.clone()).collect()
    }

    /// Take over what another worker kept.
    pub fn prime(&self, gops: &[GopCache]) {
        let mut layers = self.layers();
        layers.resize_with(gops.len().min(LAYER_LIMIT), Layer::default);
        for (layer, gop) in layers.iter_mut().zip(gops) {
            layer.gop = gop.clone();
        }
    }

    /// The packet of a layer by the low 32 bits of its sequence number.
    pub fn find(&self, layer: u8, sequence: u32) -> Option<Packet> {
        let layers = self.layers();
        let layer = layers.get(usize::from(layer))?;
        let found = layer.ring.find(sequence);
        found.or_else(|| layer.gop.find(sequence))
    }

    /// Whether a packet is younger than `age` at `now`, or belongs to what a decoder goes on from: it may have been
    /// sent a moment ago, however old it is.
    pub fn repairs(&self, packet: &Packet, now: Instant, age: Duration) -> bool {
        now.saturating_duration_since(packet.arrival) <= age
            || self.gop(packet.layer, |gop| {
                gop.find(packet.sequence as u32).is_some()
            })
    }

    /// Packets that are kept for repair.
    pub fn len(&self) -> usize {
        let layers = self.layers();
        let slots = layers.iter().flat_map(|layer| &layer.ring.slots);
        slots.flatten().count()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::{Codec, Extensions, Kind};

    fn packet(start: Instant, sequence: u64, ms: u64) -> Packet {
        let at = start + Duration::from_millis(ms);
        Packet {
            kind: Kind::Video,
            codec: Codec::Vp8,
            layer: 0,
            sequence,
            timestamp: 0,
            marker: false,
            frame_start: false,
            key_frame: false,
            extensions: Extensions::default(),
            arrival: at,
            captured: at,
            payload: Arc::from([1].as_slice()),
        }
    }

    #[test]
    fn packets_are_found_until_their_time_is_over() {
        let (start, store) = (Instant::now(), LayerStore::default());
        for number in 0..5_000_u64 {
            // 500 a second: 2 s of them fit into 1 024 slots.
            store.keep(&packet(start, (1 << 32) + number, number * 2));
        }
        assert_eq!(store.len(), 1_024);
        let found = |sequence| store.find(0, sequence).map(|packet| packet.sequence);
        assert_eq!(found(4_999), Some((1 << 32) + 4_999));
        assert_eq!(found(4_000), Some((1 << 32) + 4_000));
        assert_eq!(found(3_000), None);
        assert!(store.find(1, 4_999).is_none() && store.find(99, 0).is_none());
    }

    #[test]
    fn a_late_packet_does_not_replace_a_newer_one() {
        let (start, store) = (Instant::now(), LayerStore::default());
        store.keep(&packet(start, 164, 5_000));
        store.keep(&packet(start, 100, 5_001));
        assert_eq!(store.find(0, 164).unwrap().sequence, 164);
        assert!(store.find(0, 100).is_none());
    }

    #[test]
    fn a_payload_is_stored_once_for_every_clone() {
        let (start, store) = (Instant::now(), LayerStore::default());
        let (one, other) = (packet(start, 7, 0), store.clone());
        store.keep(&one);
        assert!(Arc::ptr_eq(
            &other.find(0, 7).unwrap().payload,
            &one.payload
        ));
    }

    #[test]
    fn what_belongs_to_the_running_pictures_is_repeated_however_old_it_is() {
        let (start, store) = (Instant::now(), LayerStore::default());
        let key = Packet {
            key_frame: true,
            ..packet(start, 5, 0)
        };
        assert!(store.keep(&key));
        for number in 6..5_000 {
            store.keep(&packet(start, number, number));
        }
        let now = start + Duration::from_secs(5);
        let old = store.find(0, 5).unwrap();
        assert!(store.repairs(&old, now, REPAIR_AGE));
        assert!(!store.repairs(&packet(start, 4, 0), now, REPAIR_AGE));
        let other = LayerStore::default();
        other.prime(&store.gops());
        assert_eq!(other.gop(0, GopCache::len), 4_995);
        assert_eq!((other.layer_count(), other.len()), (1, 0));
        let found = other.find(0, 5).unwrap();
        assert!(Arc::ptr_eq(&found.payload, &old.payload));
    }

    #[test]
    fn the_ring_has_a_limit() {
        let (start, store) = (Instant::now(), LayerStore::default());
        for number in 0..10_000 {
            store.keep(&packet(start, number, 0));
        }
        assert_eq!(store.len(), MOST);
        assert!(store.find(0, 9_999).is_some());
    }
}
