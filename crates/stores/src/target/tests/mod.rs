//! Tests of the fences with the guard taken out: raw text, as no caller can hand it in.

mod support;
mod hidden;
mod limits;
