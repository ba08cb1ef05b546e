//! Files, as people speak of them.

use std::io::{Error, ErrorKind};

/// Why a file cannot be read, without the words and numbers of the operating system where ours are clearer.
pub fn why_unread(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "you are not allowed to read it".to_owned(),
        ErrorKind::IsADirectory => "it is a directory, not a file".to_owned(),
        ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
        _ => {
            let text = error.to_string();
            let words = text.split(" (os error").next();
            words.unwrap_or_default().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_no_numbers_of_the_operating_system() {
        for number in [2, 5, 13, 21] {
            let words = why_unread(&Error::from_raw_os_error(number));
            assert!(!words.is_empty() && !words.contains("os error"), "{words}");
        }
        let words = why_unread(&Error::from(ErrorKind::InvalidData));
        assert_eq!(words, "it is not text in UTF-8");
    }
}
