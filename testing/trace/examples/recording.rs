//! Says what a recording of a display holds, and how long reading it takes:
//! `cargo run --release -p scanout-trace --example recording -- FILE.scanrec`
//!
//! With a second argument, a scenario of the synthetic desktop, it first writes
//! the file: 40 s of that, as a display of 720x400 would hand it over.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, View};
use scanout_core::geometry::Size;
use scanout_trace::desktop::{Desktop, Scenario};
use scanout_trace::recording::{
    Delivery, Event, EventKind, Object, Player, Recording, RecordingReader, RecordingWriter,
    Scanout, Update,
};
use scanout_trace::source::{FrameRate, FrameReader, PictureChoice, RecordingSource};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: recording FILE [SCENARIO]")?;
    let path = Path::new(&path);
    if let Some(scenario) = args.next() {
        let begun = Instant::now();
        write(path, scenario.parse()?)?;
        println!("written in {:.0?}", begun.elapsed());
    }
    let reader = || -> Result<_, Box<dyn Error>> {
        Ok(RecordingReader::new(BufReader::new(File::open(path)?))?)
    };
    let begun = Instant::now();
    let recording = Recording::read(reader()?)?;
    let read = begun.elapsed();
    println!(
        "{} of {:?}: {recording}",
        path.display(),
        recording.producer
    );
    for (picture, number) in recording.pictures.iter().zip(1..) {
        let (scanouts, updates) = (picture.scanouts, picture.updates);
        println!("  {number}: {picture}, {scanouts} scanouts, {updates} updates");
    }
    let bytes = path.metadata()?.len();
    println!("read:   {read:.1?} for {bytes} bytes");
    let begun = Instant::now();
    let (mut player, mut reader) = (Player::new(), reader()?);
    while let Some(event) = reader.next_event()? {
        player.apply(&event)?;
    }
    println!("played: {:.1?}", begun.elapsed());
    let begun = Instant::now();
    let mut source = RecordingSource::open(path, PictureChoice::Longest, FrameRate::whole(60))?;
    let mut frames = 0;
    while source.next_frame()?.is_some() {
        frames += 1;
    }
    println!("frames: {:.1?} for {frames}", begun.elapsed());
    Ok(())
}

/// 40 s of the desktop in a buffer of its own.
fn write(path: &Path, scenario: Scenario) -> Result<(), Box<dyn Error>> {
    let size = Size::new(720, 400);
    let mut desktop = Desktop::new(size, scenario, 1, 60)?;
    let stride = u32::try_from(desktop.stride())?;
    let (layout, bytes) = Layout::packed(Desktop::FOURCC, size, stride).ok_or("no such layout")?;
    let mut scanout = Scanout {
        delivery: Delivery::DmaBuf,
        layout,
        view: View::of(size),
        objects: vec![Object {
            id: 1,
            size: bytes,
            exporter: Some("udmabuf".to_owned()),
        }],
        patches: Vec::new(),
    };
    let name = format!("the synthetic desktop, {scenario}");
    let mut writer = RecordingWriter::new(File::create(path)?, &name)?;
    for frame in 0..40 * 60 {
        let step = desktop.next_frame();
        if frame == 0 {
            scanout.patches = Scanout::capture(&[desktop.pixels()]);
            let shown = EventKind::Scanout(scanout.clone());
            writer.write(&Event::new(step.time, shown))?;
            continue;
        }
        for rect in step.damage.rects() {
            let patches = scanout.capture_rect(*rect, false, &[desktop.pixels()])?;
            let update = EventKind::Update(Update {
                rect: *rect,
                patches,
            });
            writer.write(&Event::new(step.time, update))?;
        }
    }
    writer.finish(Duration::from_secs(40))?;
    Ok(())
}
