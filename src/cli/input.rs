//! The input of a subcommand: a file, or standard input.

use std::io::Read;
use std::path::Path;

use crate::vocabulary::why_unread;

/// The bytes of a file; `-` is standard input.
///
/// # Errors
/// When it cannot be read: why, for a person.
pub fn read_bytes(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = match file == Path::new("-") {
        true => std::io::stdin().read_to_end(&mut bytes).map(|_| bytes),
        false => std::fs::read(file),
    };
    read.map_err(|error| why_unread(&error))
}

/// The text of a file; `-` is standard input.
///
/// # Errors
/// When it cannot be read, or is not text: why, for a person.
pub fn read(file: &Path) -> Result<String, String> {
    decode(&read_bytes(file)?)
}

/// Text in UTF-8 or UTF-16. Windows PowerShell writes what `>` sends to a file in UTF-16, and other tools begin a file in UTF-8 with a
/// byte order mark.
///
/// # Errors
/// When it is neither.
pub fn decode(bytes: &[u8]) -> Result<String, String> {
    let not_text = || "the file is not text in UTF-8 or UTF-16".to_owned();
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(not_text());
        }
        let units = pairs.filter_map(|pair| Some(unit(<[u8; 2]>::try_from(pair).ok()?)));
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .map_err(|_| not_text())
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest).ok_or_else(not_text),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => utf8(bytes).ok_or_else(not_text),
    }
}

fn utf8(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_however_powershell_wrote_it() {
        let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}{\"ä\": 1}"
                .encode_utf16()
                .flat_map(order)
                .collect()
        };
        let expected = Ok("{\"ä\": 1}".to_owned());
        for bytes in [
            "{\"ä\": 1}".as_bytes().to_vec(),
            "\u{feff}{\"ä\": 1}".as_bytes().to_vec(),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes), expected);
        }
        for bytes in [
            &[0xFF, 0xFE, 0x7B][..],
            &[0xFF, 0xFE, 0x00, 0xD8],
            &[0x7B, 0xFF],
        ] {
            let error = decode(bytes).expect_err("it is no text");
            assert!(error.contains("UTF-16"), "{error}");
        }
    }
}
