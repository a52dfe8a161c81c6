//! The program, against a stand-in for QEMU on a private bus. Needs a D-Bus daemon.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use scanout_rig::machine;
use scanout_trace::recording::{End, RecordingReader};
use zbus::{Connection, Guid, Message, fdo, zvariant};

/// A bus of our own, gone when dropped.
struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    fn new() -> Option<Self> {
        let daemon = Command::new("dbus-daemon")
            .args([
                "--session",
                "--nofork",
                "--nosyslog",
                "--nopidfile",
                "--print-address",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let daemon = machine::or_skip("dbus-daemon", daemon.ok());
        let mut daemon = daemon?;
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        let address = address.trim().to_owned();
        Some(Self { daemon, address })
    }

    async fn connect(&self) -> Connection {
        let builder = zbus::connection::Builder::address(self.address.as_str()).unwrap();
        builder.build().await.unwrap()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

struct Vm;

#[zbus::interface(name = "org.qemu.Display1.VM")]
impl Vm {
    #[zbus(property, name = "ConsoleIDs")]
    fn console_ids(&self) -> Vec<u32> {
        vec![0, 2]
    }
}

/// What became of listeners that registered.
type Registered = Arc<Mutex<Vec<Connection>>>;

struct Console {
    refuse: bool,
    registered: Registered,
}

#[zbus::interface(name = "org.qemu.Display1.Console")]
impl Console {
    #[zbus(property)]
    fn label(&self) -> String {
        "stand-in".to_owned()
    }

    /// Like QEMU: authenticates, then asks the listener what it knows, before it answers.
    async fn register_listener(&self, listener: zvariant::OwnedFd) -> fdo::Result<()> {
        if self.refuse {
            return Err(fdo::Error::InvalidArgs(
                "`:1.1` is already registered!".to_owned(),
            ));
        }
        let socket = UnixStream::from(OwnedFd::from(listener));
        let listener = zbus::connection::Builder::async_io_unix_stream(socket)
            .server(Guid::generate())?
            .p2p()
            .method_timeout(Duration::from_secs(20))
            .build()
            .await?;
        let path = "/org/qemu/Display1/Listener";
        let all = listener
            .call_method(
                None::<&str>,
                path,
                Some("org.freedesktop.DBus.Properties"),
                "GetAll",
                &"org.qemu.Display1.Listener",
            )
            .await?;
        let body = all.body();
        let all: HashMap<&str, zvariant::Value<'_>> = body.deserialize()?;
        assert!(all.contains_key("Interfaces"));
        let picture = (4u32, 4u32, 16u32, 0x2002_0888u32, &[0x7fu8; 64][..]);
        // The picture comes later, as with QEMU: nobody waits for its answer here.
        let scanout = Message::method_call(path, "Scanout")?
            .interface("org.qemu.Display1.Listener")?
            .build(&picture)?;
        listener.send(&scanout).await?;
        self.registered.lock().unwrap().push(listener);
        Ok(())
    }
}

/// A QEMU on `bus`, as far as the recorder can tell.
fn qemu(bus: &Bus, refuse: bool) -> (Connection, Registered) {
    let registered = Registered::default();
    let console = Console {
        refuse,
        registered: Arc::clone(&registered),
    };
    let connection = async_io::block_on(async {
        let connection = bus.connect().await;
        let server = connection.object_server();
        server.at("/org/qemu/Display1/VM", Vm).await.unwrap();
        server
            .at("/org/qemu/Display1/Console_0", console)
            .await
            .unwrap();
        connection.request_name("org.qemu").await.unwrap();
        connection
    });
    (connection, registered)
}

fn recorder(bus: &Bus, name: &str, options: &[&str]) -> (Child, PathBuf) {
    let output = std::env::temp_dir().join(format!("{name}-{}.scanrec", std::process::id()));
    let child = Command::new(env!("CARGO_BIN_EXE_qemu-recorder"))
        .args(["--bus", &bus.address])
        .args(options)
        .arg(&output)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (child, output)
}

/// Exit status and words.
fn result(child: Child) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn end(path: &PathBuf) -> (String, usize, Option<End>) {
    let mut reader = RecordingReader::new(BufReader::new(File::open(path).unwrap())).unwrap();
    let mut events = 0;
    while reader.next_event().unwrap().is_some() {
        events += 1;
    }
    let found = (reader.producer().to_owned(), events, reader.end());
    std::fs::remove_file(path).unwrap();
    found
}

/// Whether `child` has a handler for `signal` yet.
fn catches(child: &Child, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    caught & (1 << (signal.as_raw() - 1)) != 0
}

fn wait_for_listener(registered: &Registered) {
    let begun = Instant::now();
    while registered.lock().unwrap().is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "nobody registered"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn each_reason_for_recording_nothing_is_told() {
    let Some(bus) = Bus::new() else { return };
    let (child, _) = recorder(&bus, "nobody", &["--wait", "0.2"]);
    let (code, said) = result(child);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("nobody took the name org.qemu within"),
        "{said}"
    );
    assert!(said.contains("-display dbus"), "{said}");

    let (_qemu, registered) = qemu(&bus, true);
    let (child, _) = recorder(&bus, "other", &["--wait", "0", "--console", "1"]);
    let (code, said) = result(child);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("QEMU has no console 1, but consoles 0, 2"),
        "{said}"
    );

    let (child, output) = recorder(&bus, "refused", &["--wait", "0"]);
    let (code, said) = result(child);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("refused the listener for console 0"),
        "{said}"
    );
    assert!(said.contains("already registered"), "{said}");
    assert!(!output.exists());
    assert!(registered.lock().unwrap().is_empty());

    let nowhere = Command::new(env!("CARGO_BIN_EXE_qemu-recorder"))
        .args([
            "--bus",
            "unix:path=/nonexistent/bus",
            "/nonexistent/recording",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&nowhere.stderr);
    assert_eq!(nowhere.status.code(), Some(3), "{said}");
    assert!(
        said.contains("no D-Bus bus at unix:path=/nonexistent/bus"),
        "{said}"
    );
}

#[test]
fn signals_and_the_end_of_qemu_leave_a_whole_recording() {
    let Some(bus) = Bus::new() else { return };
    let (_qemu, registered) = qemu(&bus, false);
    for signal in [Some(Signal::TERM), Some(Signal::INT), None] {
        registered.lock().unwrap().clear();
        let (child, output) = recorder(&bus, "ended", &["--producer", "a stand-in"]);
        wait_for_listener(&registered);
        let begun = Instant::now();
        match signal {
            Some(signal) => {
                // Time to write the scanout, which was answered before.
                std::thread::sleep(Duration::from_millis(300));
                let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
                rustix::process::kill_process(pid, signal).unwrap();
            }
            None => {
                let listener = registered.lock().unwrap().pop().unwrap();
                async_io::block_on(listener.close()).unwrap();
            }
        }
        let (code, said) = result(child);
        assert_eq!(code, Some(0), "{signal:?}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{signal:?}");
        let why = if signal.is_some() {
            "told to stop"
        } else {
            "QEMU left"
        };
        assert!(said.contains(why), "{said}");
        let (producer, events, end) = end(&output);
        assert_eq!(producer, "a stand-in, stand-in");
        assert_eq!(events, 1, "{signal:?}");
        assert!(
            matches!(end, Some(End::Finished { .. })),
            "{signal:?}: {end:?}"
        );
    }
}

#[test]
fn a_recorder_that_waits_for_qemu_stops_at_a_signal() {
    let Some(bus) = Bus::new() else { return };
    let (child, _) = recorder(&bus, "waiting", &["--wait", "60"]);
    while !catches(&child, Signal::TERM) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let (code, said) = result(child);
    assert_eq!(code, Some(3), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}
