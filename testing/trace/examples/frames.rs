//! Times each scenario, and writes frames of it as PNG where a directory is given:
//! `cargo run --release -p scanout-trace --example frames -- [WIDTHxHEIGHT] [DIRECTORY]`

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use scanout_core::geometry::Size;
use scanout_trace::contact_sheet::{SheetImage, SheetOptions, SheetRow, contact_sheet};
use scanout_trace::desktop::{Desktop, Scenario};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let size: Size = args.next().as_deref().unwrap_or("1920x1080").parse()?;
    let directory = args.next().map(PathBuf::from);
    let fps = 60;
    if let Some(directory) = &directory {
        std::fs::create_dir_all(directory)?;
        sheet(&directory.join("sheet.png"), size)?;
    }
    for scenario in Scenario::ALL {
        let mut desktop = Desktop::new(size, scenario, 1, fps)?;
        let mut times: Vec<Duration> = Vec::new();
        let mut damaged = 0;
        for frame in 0..u64::from(fps) * 10 {
            let start = Instant::now();
            let step = desktop.next_frame();
            if frame > 0 {
                times.push(start.elapsed());
                damaged += step.damage.area();
            }
            if let Some(directory) = &directory
                && frame % 50 == 45
            {
                let name = format!("{scenario}-{frame:04}-{}.png", step.segment);
                write(&directory.join(name), &desktop)?;
            }
        }
        times.sort();
        let count = times.len();
        let mean = times.iter().sum::<Duration>() / count as u32;
        println!(
            "{scenario:10} mean {mean:9.2?}  p50 {:9.2?}  p99 {:9.2?}  max {:9.2?}  damage {:5.2} %",
            times[count / 2],
            times[count * 99 / 100],
            times[count - 1],
            damaged as f64 * 100.0 / (count as f64 * size.area() as f64),
        );
    }
    Ok(())
}

/// A contact sheet in which "decoded" is the frame after "source".
fn sheet(path: &Path, size: Size) -> Result<(), Box<dyn Error>> {
    let mut desktop = Desktop::new(size, Scenario::Mixed, 1, 2)?;
    let mut frames = vec![(desktop.next_frame(), desktop.pixels().to_vec())];
    for _ in 0..8 {
        frames.push((desktop.next_frame(), desktop.pixels().to_vec()));
    }
    let image = |n: usize| SheetImage {
        size,
        stride: desktop.stride(),
        pixels: &frames[n].1,
    };
    let labels: Vec<String> = (0..frames.len())
        .map(|n| format!("frame {n}, {}", frames[n].0.segment))
        .collect();
    let rows: Vec<SheetRow<'_>> = (1..frames.len())
        .step_by(2)
        .map(|n| SheetRow {
            label: &labels[n],
            source: image(n - 1),
            decoded: image(n),
        })
        .collect();
    std::fs::write(path, contact_sheet(&rows, &SheetOptions::default())?)?;
    Ok(())
}

fn write(path: &Path, desktop: &Desktop) -> Result<(), Box<dyn Error>> {
    let size = desktop.size();
    let mut encoder =
        png::Encoder::new(BufWriter::new(File::create(path)?), size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let pixels: Vec<u8> = desktop
        .pixels()
        .chunks(4)
        .flat_map(|p| [p[2], p[1], p[0]])
        .collect();
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}
