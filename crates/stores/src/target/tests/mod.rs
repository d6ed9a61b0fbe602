//! Tests of the fences with the guard taken out: raw text, as no caller can hand it in; and of the guard with the
//! fences taken out.

mod benign;
mod corpus;
mod hidden;
mod hostile;
mod limits;
mod support;
mod table;
