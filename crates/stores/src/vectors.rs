//! What every vector store holds its documents to.

use std::collections::HashSet;

use engine::ports::EmbeddedDocument;
use engine::{Code, Error};

/// Bytes of an identifier at most.
const ID_BYTES_AT_MOST: usize = 512;

/// Checks documents that are to be one collection and returns the dimension of their vectors, 0 if there are none.
///
/// # Errors
///
/// [`Code::Internal`] if two have one identifier, one is too long, or their vectors differ in dimension.
pub(crate) fn check(documents: &[EmbeddedDocument]) -> Result<usize, Error> {
    let dimension = documents
        .first()
        .map_or(0, |first| first.embedding.as_slice().len());
    let mut ids = HashSet::with_capacity(documents.len());
    for EmbeddedDocument {
        document,
        embedding,
    } in documents
    {
        if document.id.len() > ID_BYTES_AT_MOST {
            return Err(Error::new(
                Code::Internal,
                format!(
                    "the identifier of a document is longer than {ID_BYTES_AT_MOST} bytes: `{}`",
                    document.id
                ),
            ));
        }
        if !ids.insert(document.id.as_str()) {
            return Err(Error::new(
                Code::Internal,
                format!("two documents have the identifier `{}`", document.id),
            ));
        }
        if embedding.as_slice().len() != dimension {
            return Err(dimensions_differ(embedding.as_slice().len(), dimension));
        }
    }
    Ok(dimension)
}

/// Says that vectors cannot be compared.
pub(crate) fn dimensions_differ(one: usize, other: usize) -> Error {
    Error::new(
        Code::Internal,
        format!("vectors of {one} and of {other} dimensions cannot be compared"),
    )
}
