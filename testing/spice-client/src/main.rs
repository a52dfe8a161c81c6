//! `scanout-spice-client ADDRESS [SECONDS] [JOINS]`: joins a server so many times, looks
//! for so long each time, and says what came and what was wrong with it.
//!
//! ADDRESS is HOST:PORT or unix:PATH; the password is in SPICE_PASSWORD. The exit code is
//! 1 if a join failed or a server did what it must not.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use scanout_spice_client::{Address, Client, Config, Log};

/// How long a first picture is waited for.
const FIRST: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .and_then(|text| match text.strip_prefix("unix:") {
            Some(path) => Some(Address::Unix(path.into())),
            None => text.parse().ok().map(Address::Tcp),
        });
    let seconds = arguments
        .next()
        .map_or(Some(5.0), |text| text.parse::<f64>().ok());
    let joins = arguments
        .next()
        .map_or(Some(1), |text| text.parse::<u32>().ok());
    let (Some(address), Some(seconds), Some(joins)) = (address, seconds, joins) else {
        eprintln!("usage: scanout-spice-client HOST:PORT|unix:PATH [SECONDS] [JOINS]");
        return ExitCode::from(2);
    };
    let config = Config::new(address, &env::var("SPICE_PASSWORD").unwrap_or_default());
    let mut firsts = Vec::new();
    let mut good = true;
    for _ in 0..joins {
        match join(
            &config,
            Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        ) {
            Ok((first, violations)) => {
                firsts.push(first);
                good &= violations == 0;
            }
            Err(error) => {
                println!("{error}");
                good = false;
            }
        }
    }
    firsts.sort();
    if let [.., last] = firsts[..] {
        println!(
            "{} of {joins} joins: first picture after {:?} (median), {last:?} (longest)",
            firsts.len(),
            firsts[firsts.len() / 2]
        );
    }
    ExitCode::from(u8::from(!good))
}

/// One session: the time from the first byte to the first picture, and how many faults.
fn join(config: &Config, look: Duration) -> Result<(Duration, usize), Box<dyn std::error::Error>> {
    let began = Instant::now();
    let client = Client::connect(config)?;
    let display = client.display(0).ok_or("no display")?;
    let first = display.wait_for(FIRST, |log| {
        log.pictures().next().map(|picture| picture.at - began)
    })?;
    std::thread::sleep(look);
    display.look(print);
    let violations = client.violations();
    for violation in violations.iter().take(20) {
        println!(
            "violation: {:?} {}: message {} ({}): {}",
            violation.channel_type,
            violation.channel_id,
            violation.message,
            violation.kind,
            violation.fault
        );
    }
    client.close();
    Ok((first, violations.len()))
}

fn print(log: &Log) {
    let pictures: Vec<_> = log.pictures().collect();
    let [first, .., last] = pictures[..] else {
        println!("{} pictures, {} bytes", pictures.len(), log.bytes);
        return;
    };
    let mut gaps: Vec<_> = log.gaps().collect();
    gaps.sort();
    let margins = pictures.iter().filter_map(|picture| picture.margin_ms);
    println!(
        "{:?}: {} pictures ({} keyframes) in {:?}, {} bytes, gaps {:?} (median) {:?} (p99) {:?} (longest), margins {:?} to {:?} ms, {} acks, {} reports",
        first.codec,
        pictures.len(),
        pictures.iter().filter(|picture| picture.keyframe).count(),
        last.at - first.at,
        log.bytes,
        gaps[gaps.len() / 2],
        gaps[gaps.len() * 99 / 100],
        gaps[gaps.len() - 1],
        margins.clone().min(),
        margins.max(),
        log.acks,
        log.reports,
    );
}
