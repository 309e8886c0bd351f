//! Single values of an offer, checked where they are read.

use super::Rejected;

pub(super) fn ice_value(line: usize, value: &str, least: usize) -> Result<String, Rejected> {
    let allowed = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    // RFC 8839 section 5.4; some stacks put other printable characters in, so only white space is refused.
    let printable = value.bytes().all(|byte| byte.is_ascii_graphic());
    if (least..=256).contains(&value.len()) && (allowed || printable) {
        Ok(value.to_owned())
    } else {
        Err(Rejected::at(
            line,
            format!("an ICE value has {least} to 256 printable characters"),
        ))
    }
}

/// A mid goes onto the wire in a header extension; the media engine keeps 16 characters.
pub(super) fn mid(line: usize, value: &str) -> Result<String, Rejected> {
    if (1..=16).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        Ok(value.to_owned())
    } else {
        Err(Rejected::at(
            line,
            "a mid has 1 to 16 letters, digits or underscores",
        ))
    }
}

pub(super) fn token(line: usize, value: &str) -> Result<&str, Rejected> {
    if !value.is_empty() && value.len() <= 64 && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(value)
    } else {
        Err(Rejected::at(
            line,
            "a word is missing, longer than 64 characters or not printable",
        ))
    }
}

pub(super) fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let mut parts = text.trim().split(':');
    for byte in &mut digest {
        let part = parts
            .next()
            .filter(|part| part.len() == 2 && part.bytes().all(|c| c.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(digest)
}

/// First alternative of each simulcast stream that is sent; a `~` in front only says that it begins paused.
pub(super) fn simulcast_send(value: &str) -> Option<Vec<String>> {
    let mut words = value.split_ascii_whitespace();
    while let (Some(direction), Some(streams)) = (words.next(), words.next()) {
        if direction == "send" {
            return Some(
                streams
                    .split(';')
                    .filter_map(|stream| stream.split(',').next())
                    .map(|rid| rid.trim_start_matches('~').to_owned())
                    .collect(),
            );
        }
    }
    None
}
