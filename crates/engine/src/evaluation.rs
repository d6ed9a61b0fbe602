//! Execution accuracy of generated SQL against gold SQL.
