//! Requests.

use crate::error::BadRequest;
use crate::hub::request::Request;
use crate::translate::Target;

/// A client's request.
///
/// # Errors
/// Where the body is wrong; the path names the place.
pub fn read(_body: &[u8]) -> Result<Request, BadRequest> {
    Err(unwritten())
}

/// A request for an upstream.
///
/// # Errors
/// Where the request asks for what the target cannot do at all.
pub fn write(
    _request: &Request,
    _target: &Target<'_>,
    _dropped: &mut Vec<String>,
) -> Result<Vec<u8>, BadRequest> {
    Err(unwritten())
}

fn unwritten() -> BadRequest {
    BadRequest {
        path: String::new(),
        message: "this dialect is not spoken yet".to_owned(),
        code: "unsupported",
    }
}
