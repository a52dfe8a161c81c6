//! A directory of PNG files as a film.

use std::cmp::Ordering;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};

use super::{
    FrameRate, FrameReader, SourceError, SourceFrame, SourcePlane, checked_rate, checked_size,
};

/// PNG files of one size, in the order of the numbers in their names. Frames
/// are XRGB8888; alpha is laid over black, 16 bits are cut to 8.
#[derive(Debug)]
pub struct PngSequence {
    files: Vec<PathBuf>,
    size: Size,
    fps: FrameRate,
    next: usize,
    decoded: Vec<u8>,
    pixels: Vec<u8>,
    planes: [SourcePlane; 1],
}

impl PngSequence {
    /// Opens a directory (all its PNG files), a file name with `%d` or `%04d`
    /// for a number, one with `*` and `?`, or a single file. Patterns apply to
    /// the last part of the path only.
    pub fn open(pattern: &Path, fps: FrameRate) -> Result<Self, SourceError> {
        let fps = checked_rate(fps.num, fps.den)?;
        let files = find(pattern)?;
        let first = files.first().ok_or_else(|| SourceError::NoPictures {
            pattern: pattern.display().to_string(),
        })?;
        let (size, _) = open_picture(first)?;
        let planes = [SourcePlane {
            offset: 0,
            stride: size.width as usize * 4,
        }];
        Ok(Self {
            files,
            size,
            fps,
            next: 0,
            decoded: Vec::new(),
            pixels: Vec::new(),
            planes,
        })
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Never true: a sequence without pictures is not opened.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn decode(&mut self, path: &Path) -> Result<(), SourceError> {
        let (size, mut reader) = open_picture(path)?;
        if size != self.size {
            return Err(SourceError::SizeChanged {
                path: path.to_owned(),
                size,
                first: self.size,
            });
        }
        let broken = |source| SourceError::Png {
            path: path.to_owned(),
            source,
        };
        // Bounded by the size, which was checked.
        let bytes = reader
            .output_buffer_size()
            .ok_or_else(|| broken(png::DecodingError::LimitsExceeded))?;
        self.decoded.resize(bytes, 0);
        let info = reader.next_frame(&mut self.decoded).map_err(broken)?;
        self.pixels.clear();
        self.pixels.reserve(size.area() as usize * 4);
        let samples = info.color_type.samples();
        let line = size.width as usize * samples;
        for row in self
            .decoded
            .chunks(info.line_size.max(1))
            .take(size.height as usize)
        {
            let row = row.get(..line).unwrap_or(row);
            for pixel in row.chunks_exact(samples) {
                let (r, g, b, a) = match *pixel {
                    [v] => (v, v, v, 255),
                    [v, a] => (v, v, v, a),
                    [r, g, b] => (r, g, b, 255),
                    [r, g, b, a] => (r, g, b, a),
                    _ => (0, 0, 0, 255),
                };
                let over = |c: u8| ((u32::from(c) * u32::from(a) + 127) / 255) as u8;
                self.pixels.extend([over(b), over(g), over(r), 0xff]);
            }
        }
        Ok(())
    }
}

fn open_picture(path: &Path) -> Result<(Size, png::Reader<BufReader<File>>), SourceError> {
    let file = File::open(path).map_err(|source| SourceError::Io {
        path: path.to_owned(),
        source,
    })?;
    let broken = |source| SourceError::Png {
        path: path.to_owned(),
        source,
    };
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let info = decoder.read_header_info().map_err(broken)?;
    let size = checked_size(info.width.into(), info.height.into())?;
    Ok((size, decoder.read_info().map_err(broken)?))
}

/// What the last part of a path may match.
enum Names {
    Png,
    Numbered {
        before: String,
        digits: usize,
        after: String,
    },
    Glob(String),
    One(String),
}

impl Names {
    fn of(name: &str) -> Self {
        if let Some((before, rest)) = name.split_once('%')
            && let Some((digits, after)) = rest.split_once('d')
            && digits.len() <= 3
            && digits.bytes().all(|b| b.is_ascii_digit())
        {
            return Self::Numbered {
                before: before.to_owned(),
                digits: digits.parse().unwrap_or(1),
                after: after.to_owned(),
            };
        }
        if name.contains(['*', '?']) {
            return Self::Glob(name.to_owned());
        }
        Self::One(name.to_owned())
    }

    fn fit(&self, name: &str) -> bool {
        match self {
            Self::Png => name.len() > 4 && name.to_ascii_lowercase().ends_with(".png"),
            Self::Numbered {
                before,
                digits,
                after,
            } => name
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()))
                .is_some_and(|number| {
                    !number.is_empty()
                        && number.len() >= *digits
                        // printf pads, but does not lengthen.
                        && (number.len() == *digits || !number.starts_with('0') || number == "0")
                        && number.bytes().all(|b| b.is_ascii_digit())
                }),
            Self::Glob(glob) => glob_fits(glob.as_bytes(), name.as_bytes()),
            Self::One(one) => one == name,
        }
    }
}

/// `*` is any run of bytes, `?` any one byte. Linear memory, no recursion: the
/// last star is the only place to come back to.
fn glob_fits(glob: &[u8], name: &[u8]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(&c) if c == b'?' || Some(&c) == name.get(n) => {
                g += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    g = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    glob.get(g..)
        .is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

fn find(pattern: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let io = |source| SourceError::Io {
        path: pattern.to_owned(),
        source,
    };
    let (directory, names) = if pattern.is_dir() {
        (pattern, Names::Png)
    } else {
        let parent = pattern.parent().filter(|p| !p.as_os_str().is_empty());
        let name = pattern.file_name().unwrap_or_default().to_string_lossy();
        (parent.unwrap_or(Path::new(".")), Names::of(&name))
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if name.to_str().is_some_and(|name| names.fit(name)) {
            found.push(directory.join(name));
        }
    }
    found.sort_by(|a, b| {
        let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned());
        natural(&name(a).unwrap_or_default(), &name(b).unwrap_or_default())
    });
    Ok(found)
}

/// Orders `frame9` before `frame10`.
fn natural(a: &str, b: &str) -> Ordering {
    fn number(text: &mut &[u8]) -> (usize, Vec<u8>) {
        let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = text.split_at(len);
        *text = rest;
        let zeros = digits.iter().take_while(|b| **b == b'0').count();
        let value = digits.get(zeros..).unwrap_or_default();
        (value.len(), value.to_vec())
    }
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let order = match (left.first(), right.first()) {
            (Some(l), Some(r)) if l.is_ascii_digit() && r.is_ascii_digit() => {
                number(&mut left).cmp(&number(&mut right))
            }
            (Some(l), Some(r)) => {
                let order = l.cmp(r);
                left = left.get(1..).unwrap_or_default();
                right = right.get(1..).unwrap_or_default();
                order
            }
            (None, None) => return a.cmp(b),
            (l, r) => return l.cmp(&r),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

impl FrameReader for PngSequence {
    fn size(&self) -> Size {
        self.size
    }

    fn fourcc(&self) -> Fourcc {
        Fourcc::XRGB8888
    }

    fn fps(&self) -> FrameRate {
        self.fps
    }

    fn next_frame(&mut self) -> Result<Option<SourceFrame<'_>>, SourceError> {
        let Some(path) = self.files.get(self.next).cloned() else {
            return Ok(None);
        };
        self.decode(&path)?;
        let index = self.next as u64;
        self.next += 1;
        Ok(Some(SourceFrame {
            index,
            time: self.fps.time_of(index),
            fourcc: Fourcc::XRGB8888,
            size: self.size,
            data: &self.pixels,
            planes: &self.planes,
            damage: Damage::full(self.size),
            segment: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("scanout-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, w: u32, h: u32, kind: png::ColorType, deep: bool, data: &[u8]) {
            let mut encoder = png::Encoder::new(File::create(self.0.join(name)).unwrap(), w, h);
            encoder.set_color(kind);
            if deep {
                encoder.set_depth(png::BitDepth::Sixteen);
            }
            if kind == png::ColorType::Indexed {
                encoder.set_palette(vec![10, 20, 30, 40, 50, 60]);
            }
            encoder
                .write_header()
                .unwrap()
                .write_image_data(data)
                .unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn every_kind_of_png_becomes_xrgb_in_the_order_of_numbers() {
        use png::ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        let folder = Folder::new("kinds");
        folder.write("f10.png", 2, 1, Indexed, false, &[1, 0]);
        folder.write("f2.png", 2, 1, Rgb, false, &[1, 2, 3, 4, 5, 6]);
        folder.write("f3.png", 2, 1, Grayscale, false, &[7, 8]);
        folder.write(
            "f4.png",
            2,
            1,
            Rgba,
            false,
            &[255, 100, 0, 255, 255, 100, 0, 0],
        );
        folder.write("f5.png", 2, 1, GrayscaleAlpha, false, &[9, 255, 9, 0]);
        folder.write(
            "f6.png",
            2,
            1,
            Rgb,
            true,
            &[1, 99, 2, 99, 3, 99, 4, 99, 5, 99, 6, 99],
        );
        let mut sequence = PngSequence::open(&folder.0, FrameRate::whole(5)).unwrap();
        assert_eq!(sequence.len(), 6);
        let expected: [[u8; 8]; 6] = [
            [3, 2, 1, 255, 6, 5, 4, 255],
            [7, 7, 7, 255, 8, 8, 8, 255],
            [0, 100, 255, 255, 0, 0, 0, 255],
            [9, 9, 9, 255, 0, 0, 0, 255],
            [3, 2, 1, 255, 6, 5, 4, 255],
            [60, 50, 40, 255, 30, 20, 10, 255],
        ];
        for expected in expected {
            assert_eq!(sequence.next_frame().unwrap().unwrap().data, expected);
        }
        assert!(sequence.next_frame().unwrap().is_none());
    }

    #[test]
    fn another_size_a_broken_file_and_no_file_are_errors() {
        let folder = Folder::new("errors");
        let open = |name: &str| PngSequence::open(&folder.0.join(name), FrameRate::whole(5));
        folder.write("a1.png", 1, 1, png::ColorType::Grayscale, false, &[0]);
        folder.write("a2.png", 2, 1, png::ColorType::Grayscale, false, &[0, 0]);
        let mut sequence = open("a%d.png").unwrap();
        sequence.next_frame().unwrap();
        let error = sequence.next_frame().unwrap_err().to_string();
        assert!(
            error.ends_with("a2.png: 2x1, but the first picture is 1x1"),
            "{error}"
        );
        std::fs::write(folder.0.join("b.png"), b"no picture").unwrap();
        assert!(matches!(open("b.png"), Err(SourceError::Png { .. })));
        assert!(matches!(
            open("c*.png"),
            Err(SourceError::NoPictures { .. })
        ));
        assert!(matches!(open("none/x.png"), Err(SourceError::Io { .. })));
    }

    #[test]
    fn patterns_fit_what_they_say() {
        let fits = |pattern: &str, name: &str| Names::of(pattern).fit(name);
        assert!(fits("f-%04d.png", "f-0012.png") && fits("f-%04d.png", "f-12345.png"));
        assert!(!fits("f-%04d.png", "f-012.png") && !fits("f-%04d.png", "f-00012.png"));
        assert!(
            fits("f%d.png", "f0.png") && !fits("f%d.png", "f01.png") && !fits("f%d.png", "f.png")
        );
        assert!(fits("*a?.png", "xaxab.png") && !fits("*a?.png", "a.png"));
        assert!(fits("**", "") && !fits("?", ""));
        assert_eq!(natural("f9.png", "f10.png"), Ordering::Less);
        assert_eq!(natural("f010", "f9"), Ordering::Greater);
        assert_eq!(natural("f01", "f1"), Ordering::Less);
    }
}
