//! GStreamer backend of Scanout.
