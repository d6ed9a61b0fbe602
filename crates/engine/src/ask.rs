//! One question to one answer.
