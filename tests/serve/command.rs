//! What the command line takes and refuses, and how it ends.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::picture::Picture;
use crate::server::Served;
use crate::support::{Ran, directory, run};

/// That `scanout serve` ended with `code` and one line of error that holds `words`.
#[track_caller]
fn assert_refused(args: &[&str], code: i32, words: &[&str]) {
    let ran: Ran = run([&["serve"], args].concat());
    assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    let errors = ran.errors();
    let first = errors.first().copied().unwrap_or_default();
    assert!(first.starts_with("scanout: error: "), "{ran:?}");
    assert!(errors.len() <= 2, "more than an error and a hint: {ran:?}");
    for word in words {
        assert!(
            ran.stderr.contains(word),
            "{word:?} is missing: {args:?}: {ran:?}"
        );
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let dir = directory("refused");
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, long) = (file("empty", ""), file("long", &"x".repeat(61)));
    let (good, pem) = (file("good", "secret\n"), file("x.pem", "no certificate"));
    let dated = file("dated", "secret\ntomorrow\n");
    let nowhere = dir.join("none").to_str().unwrap().to_owned();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let blocked = format!("unix:{good}");
    let small = ["--size", "64x64"];
    let open = [&small[..], &["--listen", "127.0.0.1:0", "--no-password"]].concat();
    let open_and = |more: &[&'static str]| [&open, more].concat();
    let with_password = |path| {
        [
            &small[..],
            &["--listen", "127.0.0.1:0", "--password-file", path],
        ]
        .concat()
    };
    for (args, code, words) in [
        (vec![], 2, &["--password-file", "--no-password"][..]),
        (
            vec!["--no-password", "--password-file", &good],
            2,
            &["--no-password"],
        ),
        (
            vec!["--no-password", "--listen", "5900"],
            2,
            &["5900", "HOST:PORT"],
        ),
        (
            vec!["--no-password", "--listen", "localhost:99999"],
            2,
            &["99999"],
        ),
        (
            vec!["--no-password", "--listen", "unix:"],
            2,
            &["needs a path"],
        ),
        (
            vec!["--no-password", "--listen", "0.0.0.0:0"],
            8,
            &["--no-password", "--password-file"],
        ),
        (
            vec!["--password-file", &good, "--listen", "0.0.0.0:0"],
            8,
            &[
                "beyond this machine",
                "--insecure-plaintext",
                "--tls-listen",
            ],
        ),
        (
            vec![
                "--no-password",
                "--insecure-plaintext",
                "--listen",
                "[::]:0",
            ],
            8,
            &["--no-password"],
        ),
        (
            vec!["--no-password", "--listen", "host.invalid:1"],
            8,
            &["host.invalid:1"],
        ),
        (
            [&small[..], &["--no-password", "--listen", &taken]].concat(),
            8,
            &[&taken, "in use"],
        ),
        (
            [&small[..], &["--no-password", "--listen", &blocked]].concat(),
            8,
            &[&good, "not a socket"],
        ),
        (with_password(&nowhere), 2, &[&nowhere, "no such file"]),
        (with_password(&empty), 2, &["empty"]),
        (with_password(&long), 2, &["61", "60"]),
        (with_password(&dated), 2, &["tomorrow", "2031-05-01"]),
        (with_password(dir.to_str().unwrap()), 2, &["regular file"]),
        (
            open_and(&["--tls-listen", "127.0.0.1:0"]),
            2,
            &["--tls-cert"],
        ),
        (
            [
                &open[..],
                &[
                    "--tls-listen",
                    "127.0.0.1:0",
                    "--tls-cert",
                    &pem,
                    "--tls-key",
                    &pem,
                ],
            ]
            .concat(),
            2,
            &["x.pem"],
        ),
        (open_and(&["--codec", "av1"]), 2, &["av1", "mjpeg"]),
        (open_and(&["--codec", "h264,mpeg2"]), 2, &["mpeg2"]),
        (open_and(&["--max-fps", "0"]), 2, &["4 to 240"]),
        (open_and(&["--max-fps", "3"]), 2, &["4 to 240"]),
        (open_and(&["--buffers", "5"]), 2, &["1 to 4"]),
        (
            open_and(&["--orientation", "left"]),
            2,
            &["left", "bottom-up"],
        ),
        (open_and(&["--loop", "--once"]), 2, &["--once"]),
        (open_and(&["--sharing", "never"]), 2, &["never", "takeover"]),
        (open_and(&["--vv-password"]), 2, &["--write-vv"]),
        (
            open_and(&["--metrics", "0.0.0.0:0"]),
            8,
            &["--metrics-insecure"],
        ),
        (open_and(&["--metrics", "here"]), 2, &["here"]),
        (open_and(&["--encoder", "nope"]), 4, &["nope"]),
        (
            vec!["--no-password", "--source", "none.png"],
            3,
            &["none.png"],
        ),
        (
            vec!["--no-password", "--source", "a.y4m", "--resize-every", "1s"],
            2,
            &["--resize-every"],
        ),
    ] {
        assert_refused(&args, code, words);
    }
    assert!(!dir.join("s").exists());
}

#[test]
fn a_file_for_viewers_is_private_and_holds_the_password_only_if_asked() {
    let dir = directory("vv");
    let (password, vv) = (dir.join("password"), dir.join("x.vv"));
    fs::write(&password, "secret\n1999999999\n").unwrap();
    fs::write(&vv, "old").unwrap();
    fs::set_permissions(&vv, fs::Permissions::from_mode(0o644)).unwrap();
    for asked in [false, true] {
        let mut args = vec!["--size", "64x64", "--listen", "127.0.0.1:0"];
        args.extend(["--password-file", password.to_str().unwrap()]);
        args.extend(["--write-vv", vv.to_str().unwrap()]);
        if asked {
            args.push("--vv-password");
        }
        let server = Served::start_with(args);
        let text = fs::read_to_string(&vv).unwrap();
        let port = server.uri(0).rsplit_once(':').unwrap().1.to_owned();
        assert!(text.starts_with("[virt-viewer]\ntype=spice\n"), "{text}");
        assert!(text.contains(&format!("\nport={port}\n")), "{text}");
        assert_eq!(text.contains("password=secret\n"), asked, "{text}");
        let mode = fs::metadata(&vv).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn every_signal_ends_it_well_and_leaves_no_socket() {
    let dir = directory("signals");
    for signal in ["TERM", "INT", "HUP"] {
        if signal == "HUP" && hangup_is_ignored() {
            continue;
        }
        let socket = dir.join("s");
        let server = Served::start_with([
            "--size",
            "64x64",
            "--no-password",
            "--listen",
            &format!("unix:{}", socket.display()),
        ]);
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may connect");
        let begun = Instant::now();
        let (ran, ended) = server.stop(signal);
        assert_eq!(ran.code, Some(0), "{signal}: {ran:?}");
        assert_eq!(ended["event"], "stopped", "{signal}: {ran:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{signal}");
        assert!(!socket.exists(), "{signal}");
    }
}

/// True where whoever started the tests ignores SIGHUP, as nohup does.
fn hangup_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap() & 1 != 0;
    if ignored {
        println!("skip: SIGHUP is ignored here, as under nohup");
    }
    ignored
}

#[test]
fn a_source_that_ends_is_kept_played_again_or_the_end() {
    let dir = directory("ends");
    for n in 0..3 {
        let picture = Picture::chart(128, 128).with_step(n);
        picture.write_png(&dir.join(format!("{n}.png")));
    }
    let source = ["--source", dir.to_str().unwrap(), "--fps", "20"];
    let (ran, ended) = Served::start([&source[..], &["--once"]].concat()).end();
    assert_eq!(
        (ran.code, &ended["source_frames"]),
        (Some(0), &3.into()),
        "{ran:?}"
    );
    let kept = Served::start(source);
    let again = Served::start([&source[..], &["--loop"]].concat());
    std::thread::sleep(Duration::from_millis(1500));
    let (_, ended) = kept.stop("TERM");
    assert_eq!(ended["source_frames"], 3, "{ended}");
    let (_, ended) = again.stop("TERM");
    assert!(ended["source_frames"].as_u64() > Some(6), "{ended}");
}

#[test]
fn an_idle_server_takes_no_time_of_the_processor() {
    let dir = directory("idle");
    Picture::chart(640, 360).write_png(&dir.join("x.png"));
    let source = dir.join("x.png");
    let server = Served::start(["--source", source.to_str().unwrap()]);
    // Of all its threads, in nanoseconds.
    let spent = || {
        let threads = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
        let of = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        Duration::from_nanos(threads.map(|thread| of(thread.unwrap())).sum())
    };
    // Keys for clients to come are made ahead: then it is still.
    let begun = Instant::now();
    loop {
        let before = spent();
        std::thread::sleep(Duration::from_secs(4));
        let share = (spent() - before).as_secs_f64() / 4.0;
        if share < 0.001 {
            println!("{:.4} % of a processor", share * 100.0);
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{share}");
    }
}

#[test]
fn metrics_can_be_read_by_what_reads_metrics() {
    let server = Served::start(["--size", "64x64", "--metrics", "127.0.0.1:0"]);
    let url = server.listening["metrics"].as_str().unwrap();
    let address = url
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/metrics")
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    let mut described = Vec::new();
    let mut samples = 0;
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert!(!described.contains(&name.to_owned()), "twice: {line}");
            described.push(name.to_owned());
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = name.split('{').next().unwrap();
            let family = name.strip_suffix("_total").unwrap_or(name);
            assert_eq!(described.last().map(String::as_str), Some(family), "{line}");
            assert!(name.starts_with("scanout_"), "{line}");
            samples += 1;
        }
    }
    assert!(samples > 30, "{body}");
    for wanted in [
        "scanout_draws_total ",
        "scanout_clients 0",
        "scanout_hold_work_seconds{quantile=\"0.99\"} ",
        "scanout_links_refused_total{reason=\"ticket\"} 0",
    ] {
        assert!(body.contains(wanted), "{wanted} is missing: {body}");
    }
}
