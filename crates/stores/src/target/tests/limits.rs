//! Deadline, cancellation, caps.
