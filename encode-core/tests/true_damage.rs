//! True damage found by staging: what is in the pictures, what is called changed,
//! and what becomes of frames in which nothing changed.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{DmaBuf, ImportPolicy, Layout, MemoryImage, Orientation, SourceBuffer};
use scanout_core::color::ColorSpec;
use scanout_core::convert::{Converter, PictureFormat, PictureLayout, PlaneView, Source};
use scanout_core::encoder::{
    BoxedError, Codec, Encoder, EncoderConfig, Frame, HostSurface, OpenError, Packet, PathClass,
    Picture, StageConfig, StageError, StageEvent, Stager, StreamInfo, Ticket,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_core::noop::{NoopControl, NoopEncoder};
use scanout_core::session::{PacketSink, Session, SessionConfig, StreamError};
use scanout_core::staging::CpuStaging;
use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};

const SIZE: Size = Size::new(203, 149);
const LIMIT: Duration = Duration::from_secs(10);

fn config(size: Size) -> StageConfig {
    let mut config = StageConfig::new(size);
    config.find_damage = true;
    config
}

fn staging(size: Size) -> CpuStaging {
    CpuStaging::new(&config(size), PictureFormat::Nv12, PathClass::Software).unwrap()
}

fn frame(number: u64, buffer: impl Into<SourceBuffer>, damage: Damage) -> Frame {
    Frame::new(number, buffer.into(), damage, Duration::ZERO)
}

/// The picture of a frame, or `None` where nothing changed.
fn stage(staging: &mut CpuStaging, frame: Frame) -> Result<Option<Picture>, StageError> {
    let ticket = staging.stage(frame)?;
    let deadline = Instant::now() + LIMIT;
    let mut freed = false;
    loop {
        assert!(Instant::now() < deadline, "no answer");
        match staging.poll()? {
            Some(StageEvent::SourceFree(t, None)) if t == ticket && !freed => freed = true,
            Some(StageEvent::Ready(t, picture)) if t == ticket => {
                assert!(freed, "ready before the source was free");
                return Ok(Some(picture));
            }
            Some(StageEvent::Unchanged(t)) if t == ticket => {
                assert!(!freed, "told twice that the source is free");
                return Ok(None);
            }
            Some(StageEvent::Failed(t, error)) if t == ticket => return Err(error),
            Some(other) => panic!("{other:?}"),
            None => std::thread::sleep(Duration::from_micros(20)),
        }
    }
}

/// What a conversion of all of `bytes` gives.
fn converted(bytes: &[u8], fourcc: Fourcc, size: Size, bottom_up: bool) -> Vec<u8> {
    let layout = PictureLayout::new(PictureFormat::Nv12, size).unwrap();
    let mut out = vec![0; layout.total_bytes()];
    let plane = PlaneView::new(bytes, size.width as usize * 4);
    let mut source = Source::packed(fourcc, size, plane);
    source.bottom_up = bottom_up;
    Converter::new(fourcc, size, layout, ColorSpec::DESKTOP)
        .unwrap()
        .convert(&source, &mut out, &Damage::full(size))
        .unwrap();
    out
}

fn bytes_of(picture: &Picture) -> &[u8] {
    picture.surface::<HostSurface>().unwrap().bytes()
}

struct Random(u64);

impl Random {
    fn below(&mut self, below: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % below
    }

    fn rect(&mut self, size: Size, side: u32) -> Rect {
        let (x, y) = (self.below(size.width), self.below(size.height));
        Rect::new(x, y, 1 + self.below(side), 1 + self.below(side)).clip(size)
    }
}

/// What a producer shows, drawn top-down.
struct Screen {
    pixels: Vec<u8>,
    bottom_up: bool,
    fourcc: Fourcc,
}

impl Screen {
    fn new(random: &mut Random) -> Self {
        let bytes = SIZE.area() as usize * 4;
        Self {
            pixels: (0..bytes).map(|_| random.below(256) as u8).collect(),
            bottom_up: false,
            fourcc: Fourcc::XRGB8888,
        }
    }

    fn draw(&mut self, rect: Rect, random: &mut Random) {
        for y in rect.y..rect.bottom() {
            let y = if self.bottom_up {
                SIZE.height - 1 - y
            } else {
                y
            };
            for x in rect.x..rect.right() {
                let at = (y * SIZE.width + x) as usize * 4;
                // Each pixel changes for sure, and visibly.
                let by = 1 + random.below(200) as u8;
                for byte in &mut self.pixels[at..at + 3] {
                    *byte = byte.wrapping_add(by);
                }
            }
        }
    }

    fn image(&self) -> MemoryImage {
        let (layout, _) = Layout::packed(self.fourcc, SIZE, 4).unwrap();
        let orientation = if self.bottom_up {
            Orientation::BottomUp
        } else {
            Orientation::TopDown
        };
        MemoryImage::new(Arc::new(self.pixels.clone()), layout)
            .unwrap()
            .with_orientation(orientation)
    }

    fn converted(&self) -> Vec<u8> {
        converted(&self.pixels, self.fourcc, SIZE, self.bottom_up)
    }
}

/// A thousand frames of a producer that claims that all has changed, between them
/// some that say what has, some that cannot be read, other formats and orientations,
/// while pictures of all ages are held.
#[test]
fn claimed_full_damage_gives_full_conversions_and_the_true_damage() {
    let mut random = Random(0x5DEE_CE66_D001);
    let mut staging = staging(SIZE);
    let mut screen = Screen::new(&mut random);
    let mut held: Vec<Picture> = Vec::new();
    let mut newest: Option<Picture> = None;
    // True changes since the newest picture.
    let mut changes = vec![Rect::of(SIZE)];
    let (mut unchanged, mut failed, mut small) = (0, 0, 0);
    for number in 0..1000 {
        let drawn: Vec<Rect> = (0..random.below(4))
            .map(|_| random.rect(SIZE, 50))
            .collect();
        for rect in &drawn {
            screen.draw(*rect, &mut random);
        }
        changes.extend(&drawn);
        let kind = random.below(20);
        if kind == 0 {
            screen.bottom_up = !screen.bottom_up;
            changes.push(Rect::of(SIZE));
        } else if kind == 1 {
            screen.fourcc = match screen.fourcc {
                Fourcc::XRGB8888 => Fourcc::XBGR8888,
                _ => Fourcc::XRGB8888,
            };
            changes.push(Rect::of(SIZE));
        }
        // The truth, as some frames tell it.
        let honest = kind > 1 && random.below(3) == 0;
        let damage = if honest {
            drawn.iter().copied().collect()
        } else {
            Damage::full(SIZE)
        };
        let mut frame = frame(number, screen.image(), damage);
        if random.below(15) == 0 {
            let not_a_fence = std::fs::File::open("/dev/null").unwrap().into();
            frame.acquire = Acquire::SyncFile(SyncFile::new(not_a_fence));
            stage(&mut staging, frame).unwrap_err();
            failed += 1;
            continue;
        }
        match stage(&mut staging, frame).unwrap() {
            Some(picture) => {
                let damage = &picture.info().damage;
                for rect in changes.drain(..) {
                    for y in rect.y..rect.bottom() {
                        for x in rect.x..rect.right() {
                            let pixel = Rect::new(x, y, 1, 1);
                            let covered = damage.rects().iter().any(|r| r.contains(pixel));
                            assert!(covered, "frame {number}: {pixel} is not in {damage:?}");
                        }
                    }
                }
                assert!(!damage.is_none());
                small += u32::from(damage.area() < SIZE.area() / 2);
                newest = Some(picture);
            }
            None => {
                assert!(changes.is_empty(), "frame {number}: {changes:?} lost");
                unchanged += 1;
            }
        }
        let newest = newest.as_ref().unwrap();
        assert!(bytes_of(newest) == screen.converted(), "frame {number}");
        held.push(newest.clone());
        while held.len() > random.below(3) as usize {
            held.swap_remove(random.below(held.len() as u32) as usize);
        }
    }
    // Or it would have proved nothing.
    assert!(
        unchanged > 50 && failed > 30 && small > 200,
        "{unchanged} {failed} {small}"
    );
}

/// A producer that draws where it does not say so is found out as soon as it
/// claims more.
#[test]
fn a_change_that_was_not_told_is_found_by_a_later_frame() {
    let mut random = Random(9);
    let mut staging = staging(SIZE);
    let mut screen = Screen::new(&mut random);
    let first = stage(&mut staging, frame(0, screen.image(), Damage::full(SIZE)));
    drop(first.unwrap().unwrap());
    let (told, hidden) = (Rect::new(10, 10, 5, 5), Rect::new(20, 12, 4, 4));
    screen.draw(told, &mut random);
    screen.draw(hidden, &mut random);
    let second = stage(&mut staging, frame(1, screen.image(), told.into()));
    assert_eq!(second.unwrap().unwrap().info().damage.rects(), &[told]);
    let third = stage(&mut staging, frame(2, screen.image(), Damage::full(SIZE)));
    let third = third.unwrap().unwrap();
    assert_eq!(third.info().damage.rects(), &[Rect::new(0, 0, 64, 64)]);
    assert!(bytes_of(&third) == screen.converted());
}

#[test]
fn the_claim_is_taken_for_sources_that_cannot_be_compared() {
    let mut staging = staging(Size::new(64, 64));
    let (layout, bytes) = Layout::packed(Fourcc::NV12, Size::new(64, 64), 4).unwrap();
    let image = MemoryImage::new(Arc::new(vec![90u8; bytes as usize]), layout).unwrap();
    for number in 0..6 {
        let damage = Damage::full(Size::new(64, 64));
        let picture = stage(&mut staging, frame(number, image.clone(), damage.clone()));
        let picture = picture.unwrap().expect("a picture of each");
        assert_eq!(picture.info().damage, damage);
    }
}

/// The memory of a producer that draws whenever it likes.
struct Shared {
    canvas: Mutex<scanout_core::buffer::alloc::Canvas>,
    buffer: SourceBuffer,
}

impl Shared {
    fn new(size: Size) -> Self {
        let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, size, 4).unwrap();
        let canvas = Provider::Memfd
            .allocate(bytes)
            .unwrap()
            .into_canvas()
            .unwrap();
        let policy = ImportPolicy::default().with_memfd();
        let buffer = DmaBuf::import(&[canvas.as_fd()], &layout, &policy).unwrap();
        Self {
            canvas: Mutex::new(canvas),
            buffer: buffer.into(),
        }
    }

    /// Fills bands of rows with one of two contents in turn, as fast as it can, until
    /// told to stop; all of it with the first then.
    fn scribble(&self, size: Size, seed: u64, stop: &AtomicBool) {
        let mut random = Random(seed);
        let band = size.width as usize * 4 * 32;
        let mut canvas = self.canvas.lock().unwrap();
        let draw = |memory: &mut [u8]| {
            while !stop.load(Ordering::Relaxed) {
                let value = [10, 240][random.below(2) as usize];
                let bands = memory.len() / band;
                let at = random.below(bands as u32) as usize * band;
                memory[at..at + band].fill(value);
            }
            memory.fill(10);
        };
        canvas.draw(draw).unwrap();
    }
}

/// A pixel that changes between its comparison and its conversion, and back before the
/// next comparison, must not stay on the screen.
#[test]
fn a_producer_that_draws_during_staging_leaves_nothing_stale() {
    let size = Size::new(512, 512);
    let shared = Arc::new(Shared::new(size));
    let mut staging = staging(size);
    let mut newest = None;
    for round in 0..200u64 {
        let stop = Arc::new(AtomicBool::new(false));
        let (drawn, stopped) = (Arc::clone(&shared), Arc::clone(&stop));
        let guest = std::thread::spawn(move || drawn.scribble(size, round + 1, &stopped));
        for number in 0..10 {
            let frame = frame(
                round * 20 + number,
                shared.buffer.clone(),
                Damage::full(size),
            );
            if let Some(picture) = stage(&mut staging, frame).unwrap() {
                newest = Some(picture);
            }
        }
        stop.store(true, Ordering::SeqCst);
        guest.join().unwrap();
        let last = frame(round * 20 + 19, shared.buffer.clone(), Damage::full(size));
        if let Some(picture) = stage(&mut staging, last).unwrap() {
            newest = Some(picture);
        }
        let still = vec![10; size.area() as usize * 4];
        let expected = converted(&still, Fourcc::XRGB8888, size, false);
        assert!(
            bytes_of(newest.as_ref().unwrap()) == expected,
            "round {round}: something stale is left"
        );
    }
}

/// Real staging, no coding.
struct CpuOnly {
    staging: CpuStaging,
    control: Arc<NoopControl>,
}

impl Stager for CpuOnly {
    fn room(&self) -> usize {
        self.staging.room()
    }
    fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
        self.staging.stage(frame)
    }
    fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
        self.staging.poll()
    }
    fn encoder(&self, encoder: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
        let control = Arc::clone(&self.control);
        Ok(Box::new(NoopEncoder::new(control, &config(SIZE), encoder)?))
    }
    fn wake(&self) -> BorrowedFd<'_> {
        self.staging.wake()
    }
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u64>>>);

impl PacketSink for Kept {
    fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        self.0.lock().unwrap().push(packet.number);
        Ok(())
    }
    fn ended(&mut self, _: Result<(), StreamError>) {}
}

#[derive(Default)]
struct Released(Mutex<Vec<u64>>);

impl ReleaseSink for Released {
    fn released(&self, cookie: u64, _: Option<SyncFile>) {
        self.0.lock().unwrap().push(cookie);
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn a_session_releases_unchanged_frames_and_codes_nothing() {
    let control = Arc::new(NoopControl::default());
    let stager = CpuOnly {
        staging: staging(SIZE),
        control,
    };
    let session = Session::start(Box::new(stager), SessionConfig::live()).unwrap();
    let kept = Kept::default();
    let encoder = EncoderConfig::new(Codec::H264);
    let add = |kept: &Kept| session.add_stream(encoder.clone(), Box::new(kept.clone()));
    add(&kept).unwrap();
    let released = Arc::new(Released::default());
    let mut random = Random(4);
    let mut screen = Screen::new(&mut random);
    let submit = |number: u64, screen: &Screen| {
        let frame = frame(number, screen.image(), Damage::full(SIZE));
        let sink: Arc<dyn ReleaseSink> = Arc::clone(&released) as _;
        session.submit(frame, Release::new(sink, number)).unwrap();
        until("released", || released.0.lock().unwrap().contains(&number));
    };
    submit(0, &screen);
    until("coded", || *kept.0.lock().unwrap() == [0]);
    for number in 1..20 {
        submit(number, &screen);
    }
    until("told", || session.stats().frames.unchanged == 19);
    // Who joins gets the picture that there is.
    let second = Kept::default();
    add(&second).unwrap();
    until("joined", || *second.0.lock().unwrap() == [0]);
    screen.draw(Rect::new(100, 100, 3, 3), &mut random);
    submit(20, &screen);
    until("coded", || *kept.0.lock().unwrap() == [0, 20]);
    let stats = session.finish(LIMIT).unwrap();
    assert_eq!((stats.frames.staged, stats.frames.unchanged), (2, 19));
    assert_eq!(stats.times.hold.count, 21);
    assert_eq!(*released.0.lock().unwrap(), (0..21).collect::<Vec<_>>());
    assert_eq!(*second.0.lock().unwrap(), [0, 20]);
}
