//! Just enough JSON writing for the snapshot.

use std::fmt::{Display, Write as _};

/// Writes one JSON text. Commas are its own affair.
#[derive(Debug, Default)]
pub(crate) struct Json {
    text: String,
    fresh: bool,
}

impl Json {
    pub(crate) fn new() -> Self {
        Self {
            text: String::new(),
            fresh: true,
        }
    }

    fn comma(&mut self) {
        if !self.fresh {
            self.text.push(',');
        }
        self.fresh = false;
    }

    fn quoted(&mut self, value: &str) {
        self.text.push('"');
        for character in value.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                control if control.is_control() => {
                    // Writing to a String cannot fail.
                    let _ = write!(self.text, "\\u{:04x}", u32::from(control));
                }
                other => self.text.push(other),
            }
        }
        self.text.push('"');
    }

    /// `"key":` in front of the value that the closure writes.
    pub(crate) fn key(&mut self, key: &str, value: impl FnOnce(&mut Self)) {
        self.comma();
        self.quoted(key);
        self.text.push(':');
        self.fresh = true;
        value(self);
        self.fresh = false;
    }

    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.bracketed('{', '}', fields);
    }

    pub(crate) fn array<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T),
    ) {
        self.bracketed('[', ']', |json| {
            items.into_iter().for_each(|value| item(json, value))
        });
    }

    fn bracketed(&mut self, open: char, close: char, inner: impl FnOnce(&mut Self)) {
        self.comma();
        self.text.push(open);
        self.fresh = true;
        inner(self);
        self.text.push(close);
        self.fresh = false;
    }

    pub(crate) fn string(&mut self, value: &str) {
        self.comma();
        self.quoted(value);
    }

    /// A number or a boolean, which are written as they print.
    pub(crate) fn plain(&mut self, value: impl Display) {
        self.comma();
        let _ = write!(self.text, "{value}");
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_nest_and_strings_are_escaped() {
        let mut json = Json::new();
        json.object(|json| {
            json.key("a", |json| json.plain(1));
            json.key("b\"", |json| {
                json.array([1, 2], |json, item| {
                    json.object(|json| json.key("i", |json| json.plain(item)))
                })
            });
            json.key("c", |json| json.array(["x\n", "\\"], Json::string));
            json.key("d", |json| json.object(|_| {}));
        });
        assert_eq!(
            json.finish(),
            r#"{"a":1,"b\"":[{"i":1},{"i":2}],"c":["x\u000a","\\"],"d":{}}"#
        );
    }
}
