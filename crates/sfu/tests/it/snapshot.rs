//! The debug snapshot: JSON that any reader takes, with everything a worker holds.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;
use std::time::Duration;

use sanderling_sfu::{Command, Event};

use crate::network::Network;

/// A value of JSON (RFC 8259).
#[derive(Debug, PartialEq)]
enum Value {
    Word(String),
    Number(f64),
    Text(String),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// Read a whole text; anything else than JSON panics.
    fn read(text: &str) -> Self {
        let mut rest = text.chars().peekable();
        let value = Self::next(&mut rest);
        assert_eq!(rest.next(), None, "behind the value");
        value
    }

    fn next(rest: &mut Peekable<Chars<'_>>) -> Self {
        match rest.peek().expect("a value") {
            '{' => {
                let mut fields = BTreeMap::new();
                list(rest, '}', |rest| {
                    let key = string(rest);
                    assert_eq!(rest.next(), Some(':'));
                    let value = Self::next(rest);
                    assert_eq!(fields.insert(key, value), None, "a key twice");
                });
                Self::Object(fields)
            }
            '[' => {
                let mut items = Vec::new();
                list(rest, ']', |rest| items.push(Self::next(rest)));
                Self::Array(items)
            }
            '"' => Self::Text(string(rest)),
            _ => {
                let mut word = String::new();
                while let Some(letter) = rest.next_if(|c| !",]}".contains(*c)) {
                    word.push(letter);
                }
                match word.as_str() {
                    "true" | "false" | "null" => Self::Word(word),
                    number => {
                        let begins = number.starts_with(|c: char| c == '-' || c.is_ascii_digit());
                        assert!(begins, "{number} is no number");
                        Self::Number(number.parse().expect("a number"))
                    }
                }
            }
        }
    }

    /// A field of an object.
    fn at(&self, key: &str) -> &Self {
        let Self::Object(fields) = self else {
            panic!("{key} of {self:?}")
        };
        let field = fields.get(key);
        field.unwrap_or_else(|| panic!("{key} is missing in {fields:?}"))
    }

    /// The only item of an array.
    fn only(&self) -> &Self {
        match self {
            Self::Array(items) if items.len() == 1 => &items[0],
            other => panic!("not one item: {other:?}"),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Self::Number(number) => *number,
            other => panic!("no number: {other:?}"),
        }
    }
}

/// Items between brackets and commas.
fn list(rest: &mut Peekable<Chars<'_>>, end: char, mut item: impl FnMut(&mut Peekable<Chars<'_>>)) {
    rest.next();
    if rest.next_if_eq(&end).is_some() {
        return;
    }
    loop {
        item(rest);
        match rest.next() {
            Some(',') => {}
            Some(last) if last == end => return,
            other => panic!("{other:?} behind an item"),
        }
    }
}

fn string(rest: &mut Peekable<Chars<'_>>) -> String {
    assert_eq!(rest.next(), Some('"'));
    let mut text = String::new();
    loop {
        match rest.next().expect("the end of a string") {
            '"' => return text,
            '\\' => text.push(rest.next().expect("an escaped character")),
            control if control < ' ' => panic!("{control:?} in a string"),
            other => text.push(other),
        }
    }
}

#[test]
fn a_snapshot_describes_what_there_is() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    net.viewer(0, 2, 2);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 40);
    let Event::Snapshot { json, .. } = net.command(0, |ticket| Command::Snapshot { ticket }) else {
        panic!()
    };
    assert!(!json.contains("password"));
    let snapshot = Value::read(&json);
    let text = |text: &str| Value::Text(text.to_owned());
    let word = |word: &str| Value::Word(word.to_owned());
    for counter in [
        "datagrams",
        "packets_in",
        "packets_out",
        "drain_steps",
        "timers",
    ] {
        assert!(snapshot.at(counter).number() > 0.0, "{counter}");
    }
    assert_eq!(snapshot.at("worker").number(), 0.0);
    assert_eq!(snapshot.at("datagrams_dropped").number(), 0.0);

    let publisher = snapshot.at("publishers").only();
    let viewer = snapshot.at("viewers").only();
    for (session, number, address) in [
        (publisher, 1.0, "198.51.100.1:5000"),
        (viewer, 2.0, "198.51.100.2:5000"),
    ] {
        assert_eq!(session.at("session").number(), number);
        assert_eq!(session.at("connected"), &word("true"));
        assert!(session.at("age_ms").number() >= 1_500.0);
        assert!(session.at("silent_ms").number() < 1_500.0);
        // The oracle counts a viewer's traffic from time to time only.
        let counts = number == 1.0 || cfg!(not(feature = "str0m-viewer"));
        let (packets, bytes) = if counts {
            (100.0, 20_000.0)
        } else {
            (1.0, 80.0)
        };
        assert!(session.at("packets").number() >= packets);
        assert!(session.at("bytes").number() >= bytes);
        for counter in ["lost", "nacks", "retransmitted"] {
            assert_eq!(session.at(counter).number(), 0.0, "{counter}");
        }
        let path = session.at("paths").only();
        assert_eq!(path.at("protocol"), &text("udp"));
        assert_eq!(path.at("remote"), &text(address));
        assert!(matches!(path.at("local"), Value::Text(_)));
    }
    let Value::Array(tracks) = publisher.at("tracks") else {
        panic!("{publisher:?}")
    };
    let codecs: Vec<_> = tracks.iter().map(|track| track.at("codec")).collect();
    assert_eq!(codecs, [&text("opus"), &text("VP8")]);

    // What the viewer's path carries, and what is done about it.
    if cfg!(not(feature = "str0m-viewer")) {
        assert!(viewer.at("estimate_bps").number() > 0.0);
        assert!(matches!(viewer.at("protection"), Value::Text(_)));
    }
    assert_eq!(viewer.at("layers_down").number(), 0.0);
    assert_eq!(viewer.at("pictures_paused"), &word("false"));
    // Its slots.
    assert_eq!(viewer.at("slots").number(), 2.0);
    let binding = viewer.at("bindings").only();
    for (key, expected) in [
        ("slot", 0.0),
        ("stream", 1.0),
        ("layer", 0.0),
        ("wanted_layer", 0.0),
    ] {
        assert_eq!(binding.at(key).number(), expected, "{key}");
    }
    for (key, expected) in [
        ("audio", "true"),
        ("video", "true"),
        ("waits_for_key_frame", "false"),
    ] {
        assert_eq!(binding.at(key), &word(expected), "{key}");
    }
    for key in ["mode", "choice"] {
        assert!(matches!(binding.at(key), Value::Text(_)), "{key}");
    }
    assert!(binding.at("delay_limit_ms").number() >= 0.0);

    // The stream and what is cached of it.
    let stream = snapshot.at("streams").only();
    for (key, expected) in [
        ("stream", 1.0),
        ("origin", 0.0),
        ("viewers", 1.0),
        ("best_layer", 0.0),
    ] {
        assert_eq!(stream.at(key).number(), expected, "{key}");
    }
    assert_eq!(stream.at("pending_binds").number(), 0.0);
    assert_eq!(stream.at("pulled_by"), &Value::Array(Vec::new()));
    assert!(stream.at("key_frames").number() >= 1.0);
    assert!(stream.at("key_frame_requests").number() >= 0.0);
    let layer = stream.at("layers").only();
    assert_eq!(layer.at("layer").number(), 0.0);
    assert_eq!(layer.at("overflowed"), &word("false"));
    let (packets, frames) = (layer.at("cached_packets"), layer.at("cached_frames"));
    assert_eq!(packets.number(), 3.0 * frames.number());
    assert!(layer.at("cached_bytes").number() >= 200.0 * packets.number());
    assert!(layer.at("cached_span_ms").number() <= layer.at("key_frame_age_ms").number());
    assert!(layer.at("key_frame_bytes").number() >= 600.0);
    assert!(layer.at("bits_per_second").number() > 0.0);
}
