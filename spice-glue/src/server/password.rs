//! The password file, read again for each link so that a changed password counts at once.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::error::PasswordError;
use crate::wire::link::PASSWORD_MAX;

/// A password, a date, and some room for those who end lines in their own way.
const FILE_MAX: usize = 1024;
/// Others of this machine may read it.
const OTHERS_READ: u32 = 0o004;

/// A password that counts now.
pub(super) struct Password {
    padded: Padded,
    /// Any user of this machine can read the file.
    pub(super) exposed: bool,
}

/// Of one length whatever is inside, so that comparing tells nothing of it.
struct Padded {
    bytes: [u8; PASSWORD_MAX],
    len: u8,
}

impl Padded {
    fn new(password: &[u8]) -> Option<Self> {
        let mut bytes = [0; PASSWORD_MAX];
        bytes.get_mut(..password.len())?.copy_from_slice(password);
        Some(Self {
            bytes,
            len: u8::try_from(password.len()).ok()?,
        })
    }
}

impl Drop for Padded {
    fn drop(&mut self) {
        self.bytes.zeroize();
        self.len.zeroize();
    }
}

impl Password {
    /// Reads `path`, at most a kilobyte of it. Blocks as long as the file system does.
    pub(super) fn read(path: &Path, now: SystemTime) -> Result<Self, PasswordError> {
        let failed = |cause| PasswordError::Read {
            path: path.into(),
            cause,
        };
        // Opening a pipe without this waits until somebody writes.
        let file = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open(path)
            .map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(PasswordError::NotAFile(path.into()));
        }
        // Of this capacity from the start: a buffer that grows leaves copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_MAX + 1));
        file.take(FILE_MAX as u64 + 1)
            .read_to_end(&mut text)
            .map_err(failed)?;
        if text.len() > FILE_MAX {
            return Err(PasswordError::FileTooLong {
                path: path.into(),
                limit: FILE_MAX,
            });
        }
        let padded = parse(path, &text, now)?;
        Ok(Self {
            padded,
            exposed: meta.mode() & OTHERS_READ != 0,
        })
    }

    /// Whether `ticket`, as it was decrypted, is this password. Takes as long for any
    /// password and any ticket of the same length.
    pub(super) fn matches(&self, ticket: &[u8]) -> bool {
        // Clients end it with a NUL. What they send is theirs: no secret of ours.
        let given = ticket.split(|b| *b == 0).next().unwrap_or_default();
        let Some(given) = Padded::new(given) else {
            return false;
        };
        let same = given.bytes.ct_eq(&self.padded.bytes) & given.len.ct_eq(&self.padded.len);
        same.into()
    }
}

fn parse(path: &Path, text: &[u8], now: SystemTime) -> Result<Padded, PasswordError> {
    let mut lines = text
        .split(|b| *b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let password = lines.next().unwrap_or_default();
    if password.is_empty() {
        return Err(PasswordError::Empty(path.into()));
    }
    if password.contains(&0) {
        return Err(PasswordError::Nul(path.into()));
    }
    let padded = Padded::new(password).ok_or_else(|| PasswordError::TooLong {
        path: path.into(),
        seen: password.len(),
        limit: PASSWORD_MAX,
    })?;
    let expiry = lines.next().unwrap_or_default().trim_ascii();
    if !expiry.is_empty() {
        let until = std::str::from_utf8(expiry).ok().and_then(instant);
        let until = until.ok_or_else(|| PasswordError::Expiry {
            path: path.into(),
            seen: String::from_utf8_lossy(expiry).chars().take(40).collect(),
        })?;
        if now >= until {
            return Err(PasswordError::Expired(path.into()));
        }
    }
    Ok(padded)
}

/// Seconds since 1970, or a time of RFC 3339. A leap second counts as the one after it.
fn instant(text: &str) -> Option<SystemTime> {
    let seconds = if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse::<u64>().ok()?
    } else {
        u64::try_from(rfc3339(text.as_bytes())?).ok()?
    };
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction](Z|+HH:MM|-HH:MM)`; the fraction is cut off.
fn rfc3339(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.split_at_checked(9)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else {
        return None;
    };
    let [b'T' | b't' | b' ', h1, h2, b':', i1, i2, b':', s1, s2] = time else {
        return None;
    };
    let year = digits(&[*y1, *y2, *y3, *y4])?;
    let (month, day) = (digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
    let (hour, minute) = (digits(&[*h1, *h2])?, digits(&[*i1, *i2])?);
    let second = digits(&[*s1, *s2])?;
    let zone = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let end = fraction.iter().position(|b| !b.is_ascii_digit())?;
            fraction.get(end..).filter(|_| end > 0)?
        }
        None => rest,
    };
    let offset = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = (hours * 60 + minutes) * 60;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_of_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years that begin in March have their leap day at the end: the days before a month
    // are then (153 * m + 2) / 5, and those before a year 365 y + y/4 - y/100 + y/400.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    const DAYS_TO_1970: i64 = 719_468;
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100)
        + y.div_euclid(400)
        + (153 * m + 2) / 5
        + (day - 1)
        - DAYS_TO_1970;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// At most four of them.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |n, b| {
        b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    fn parsed(text: &[u8], now: SystemTime) -> Result<Password, PasswordError> {
        parse(Path::new("p"), text, now).map(|padded| Password {
            padded,
            exposed: false,
        })
    }

    #[test]
    fn only_the_password_itself_matches() {
        let password = parsed(b"secret\n", NOW).unwrap();
        for good in [&b"secret\0"[..], b"secret", b"secret\0\0\0"] {
            assert!(password.matches(good), "{good:?}");
        }
        for bad in [
            &b"secre\0"[..],
            b"secret2\0",
            b"\0secret",
            b"",
            b"\0",
            b"Secret\0",
            &[b's'; 128],
        ] {
            assert!(!password.matches(bad), "{bad:?}");
        }
    }

    #[test]
    fn sixty_bytes_are_a_password_and_sixty_one_are_not() {
        let longest = [b'x'; PASSWORD_MAX];
        let mut ticket = longest.to_vec();
        ticket.push(0);
        assert!(parsed(&longest, NOW).unwrap().matches(&ticket));
        let seen = parsed(&[b'x'; PASSWORD_MAX + 1], NOW).err();
        assert!(matches!(
            seen,
            Some(PasswordError::TooLong { seen: 61, .. })
        ));
    }

    #[test]
    fn an_empty_password_lets_nobody_in() {
        for empty in [&b""[..], b"\n", b"\r\n", b"\nsecret\n"] {
            let seen = parsed(empty, NOW).err();
            assert!(matches!(seen, Some(PasswordError::Empty(_))), "{empty:?}");
        }
        let seen = parsed(b"a\0b\n", NOW).err();
        assert!(matches!(seen, Some(PasswordError::Nul(_))));
    }

    #[test]
    fn a_password_ends_when_its_second_line_says() {
        for line in [
            "1000000000",
            "2001-09-09T01:46:40Z",
            "2001-09-09T01:46:40.75Z",
            "2001-09-09t03:46:40+02:00",
            "2001-09-08T20:16:40-05:30",
        ] {
            let file = format!("secret\r\n{line}\r\n");
            assert!(parsed(file.as_bytes(), at(999_999_999)).is_ok(), "{line}");
            let late = parsed(file.as_bytes(), at(1_000_000_000)).err();
            assert!(matches!(late, Some(PasswordError::Expired(_))), "{line}");
        }
        assert!(parsed(b"secret\n\n", at(u64::from(u32::MAX))).is_ok());
    }

    #[test]
    fn a_second_line_that_is_no_time_lets_nobody_in() {
        for line in [
            "tomorrow",
            "2031-13-01T00:00:00Z",
            "2031-02-29T00:00:00Z",
            "2031-01-01T24:00:00Z",
            "2031-01-01T00:00:00",
            "2031-01-01",
            "2031-01-01T00:00:00.Z",
            "2031-01-01T00:00:00+0100",
            "99999999999999999999999",
            "-5",
            "1900-01-01T00:00:00Z",
            "\u{fc}2031-01-01T00:00:00Z",
        ] {
            let seen = parsed(format!("secret\n{line}\n").as_bytes(), NOW).err();
            assert!(matches!(seen, Some(PasswordError::Expiry { .. })), "{line}");
        }
    }

    #[test]
    fn dates_are_counted_as_the_calendar_has_them() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("2024-12-31T23:59:60Z", 1_735_689_600),
        ] {
            assert_eq!(rfc3339(text.as_bytes()), Some(seconds), "{text}");
        }
    }

    #[test]
    fn only_regular_files_are_read_and_never_much_of_them() {
        let folder = std::env::temp_dir().join(format!("scanout-password-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let seen = Password::read(&folder, NOW).err();
        assert!(matches!(seen, Some(PasswordError::NotAFile(_))), "{seen:?}");
        let seen = Password::read(Path::new("/dev/zero"), NOW).err();
        assert!(matches!(seen, Some(PasswordError::NotAFile(_))), "{seen:?}");
        let pipe = folder.join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let seen = Password::read(&pipe, NOW).err();
        assert!(matches!(seen, Some(PasswordError::NotAFile(_))), "{seen:?}");
        let long = folder.join("long");
        std::fs::write(&long, [b'\n'; FILE_MAX + 1]).unwrap();
        let seen = Password::read(&long, NOW).err();
        assert!(
            matches!(seen, Some(PasswordError::FileTooLong { .. })),
            "{seen:?}"
        );
        let seen = Password::read(&folder.join("none"), NOW).err();
        assert!(matches!(seen, Some(PasswordError::Read { .. })), "{seen:?}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
