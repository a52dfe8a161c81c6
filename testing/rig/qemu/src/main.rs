//! Records what an unmodified QEMU hands to a listener on its D-Bus display.

fn main() {}
