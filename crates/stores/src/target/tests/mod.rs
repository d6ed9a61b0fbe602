//! Tests of the fences with the guard taken out: raw text, as no caller can hand it in; and of the guard with the
//! fences taken out.

mod support;
mod hidden;
mod limits;
mod corpus;
mod hostile;
mod benign;
mod table;
