//! Why a head was refused, and the answer that goes with it.

use std::fmt;

use crate::field::FieldError;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $status:literal, $label:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = concat!("Status ", stringify!($status), ": ", $text, ".")] $(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every reason, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Status code of the answer.
            #[must_use]
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                }
            }

            /// Stable label for metrics and logs.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)+
                })
            }
        }
    };
}

reasons! {
    /// Why a request head was refused.
    RequestErrorReason {
        AbsoluteForm = 400, "absolute_form", "the absolute-form target is not http or https with a valid authority";
        BareCr = 400, "bare_cr", "a CR is not followed by LF";
        BareLf = 400, "bare_lf", "a line ends with LF without CR";
        Connection = 400, "connection", "an option in the field connection is not a token";
        ContentLength = 400, "content_length", "the field content-length is not one decimal number of at most 64 bits";
        ContentTooLarge = 413, "content_too_large", "the field content-length exceeds the limit";
        DuplicateContentLength = 400, "duplicate_content_length", "there is more than one field content-length";
        DuplicateHost = 400, "duplicate_host", "there is more than one field host";
        DuplicateTransferEncoding = 400, "duplicate_transfer_encoding", "there is more than one field transfer-encoding";
        EmptyFieldName = 400, "empty_field_name", "a field has an empty name";
        EmptyHost = 400, "empty_host", "the field host is empty and the target has no authority";
        Expect = 417, "expect", "the field expect asks for something other than 100-continue";
        FieldName = 400, "field_name", "a field name is not a token";
        FieldValue = 400, "field_value", "a field value contains a control byte";
        FieldsTooMany = 431, "fields_too_many", "there are too many fields";
        Fragment = 400, "fragment", "the target contains a fragment";
        HeadTooLarge = 431, "head_too_large", "the head is too large";
        Host = 400, "host", "the field host is not a host with an optional port";
        LeadingCrlf = 400, "leading_crlf", "there are too many empty lines before the request line";
        LengthAndTransferEncoding = 400, "length_and_transfer_encoding", "there are both content-length and transfer-encoding";
        LeadingSpace = 400, "leading_space", "the first field line starts with a blank";
        Method = 400, "method", "the method is not a token";
        MethodNotAllowed = 405, "method_not_allowed", "the method is not served by a gateway";
        MethodTooLong = 501, "method_too_long", "the method is too long";
        MissingColon = 400, "missing_colon", "a field line has no colon";
        MissingHost = 400, "missing_host", "an HTTP/1.1 request has no field host";
        ObsFold = 400, "obs_fold", "a field value is continued on a second line";
        OptionsTooMany = 431, "options_too_many", "the field connection lists too many options";
        RequestLine = 400, "request_line", "the request line is not method, target and version with one space between";
        SpaceBeforeColon = 400, "space_before_colon", "a blank stands between a field name and its colon";
        TargetByte = 400, "target_byte", "the target contains a byte outside of visible ASCII";
        TargetForm = 400, "target_form", "the target has no form that the method allows";
        TargetTooLong = 414, "target_too_long", "the target is too long";
        TransferEncoding = 400, "transfer_encoding", "the field transfer-encoding is malformed";
        TransferEncodingUnknown = 501, "transfer_encoding_unknown", "the field transfer-encoding names a coding other than chunked";
        TransferEncodingVersion = 400, "transfer_encoding_version", "an HTTP/1.0 request has the field transfer-encoding";
        UnderscoreName = 400, "underscore_name", "a field name contains an underscore";
        ValueTooLong = 431, "value_too_long", "a field value is too long";
        Version = 400, "version", "the version is not written as HTTP, slash, digit, dot, digit";
        VersionMissing = 400, "version_missing", "the request line has no version";
        VersionNotSupported = 505, "version_not_supported", "the version is not HTTP/1.0 or HTTP/1.1";
    }
}

reasons! {
    /// Why a response head was refused. The status is what the client of the proxy gets.
    ResponseErrorReason {
        BareCr = 502, "bare_cr", "a CR is not followed by LF";
        BareLf = 502, "bare_lf", "a line ends with LF without CR";
        BodyForbidden = 502, "body_forbidden", "a response that has no body announces one";
        Connection = 502, "connection", "an option in the field connection is not a token";
        ContentLength = 502, "content_length", "the field content-length is not one decimal number of at most 64 bits";
        DuplicateContentLength = 502, "duplicate_content_length", "there is more than one field content-length";
        DuplicateTransferEncoding = 502, "duplicate_transfer_encoding", "there is more than one field transfer-encoding";
        EmptyFieldName = 502, "empty_field_name", "a field has an empty name";
        FieldName = 502, "field_name", "a field name is not a token";
        FieldValue = 502, "field_value", "a field value contains a control byte";
        FieldsTooMany = 502, "fields_too_many", "there are too many fields";
        HeadTooLarge = 502, "head_too_large", "the head is too large";
        LeadingSpace = 502, "leading_space", "the first field line starts with a blank";
        LengthAndTransferEncoding = 502, "length_and_transfer_encoding", "there are both content-length and transfer-encoding";
        MissingColon = 502, "missing_colon", "a field line has no colon";
        ObsFold = 502, "obs_fold", "a field value is continued on a second line";
        OptionsTooMany = 502, "options_too_many", "the field connection lists too many options";
        ReasonPhrase = 502, "reason_phrase", "the reason phrase contains a control byte";
        SpaceBeforeColon = 502, "space_before_colon", "a blank stands between a field name and its colon";
        StatusCode = 502, "status_code", "the status code is not three digits from 100 to 599";
        StatusLine = 502, "status_line", "the status line does not start with a version and one space";
        SwitchingProtocols = 502, "switching_protocols", "a 101 does not match an upgrade that was asked for";
        TransferEncoding = 502, "transfer_encoding", "the field transfer-encoding is malformed or names a coding other than chunked";
        TransferEncodingVersion = 502, "transfer_encoding_version", "an HTTP/1.0 response has the field transfer-encoding";
        ValueTooLong = 502, "value_too_long", "a field value is too long";
        Version = 502, "version", "the version is not HTTP/1.0 or HTTP/1.1";
    }
}

/// A request head that is refused. Answer with the status and close: where the next message
/// starts is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("request refused with {status}: {reason}")]
pub struct RequestError {
    /// Status code of the answer.
    pub status: u16,
    /// What is wrong.
    pub reason: RequestErrorReason,
}

impl From<RequestErrorReason> for RequestError {
    fn from(reason: RequestErrorReason) -> Self {
        Self { status: reason.status(), reason }
    }
}

/// A response head that is refused. Answer the client with the status; the upstream connection is
/// never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("upstream response refused: {reason}")]
pub struct ResponseError {
    /// Status code of the answer to the client: 502.
    pub status: u16,
    /// What is wrong.
    pub reason: ResponseErrorReason,
}

impl From<ResponseErrorReason> for ResponseError {
    fn from(reason: ResponseErrorReason) -> Self {
        Self { status: reason.status(), reason }
    }
}

macro_rules! from_field_error {
    ($name:ident) => {
        impl From<FieldError> for $name {
            fn from(error: FieldError) -> Self {
                match error {
                    FieldError::BareCr => Self::BareCr,
                    FieldError::BareLf => Self::BareLf,
                    FieldError::EmptyName => Self::EmptyFieldName,
                    FieldError::LeadingSpace => Self::LeadingSpace,
                    FieldError::MissingColon => Self::MissingColon,
                    FieldError::Name => Self::FieldName,
                    FieldError::ObsFold => Self::ObsFold,
                    FieldError::SpaceBeforeColon => Self::SpaceBeforeColon,
                    FieldError::TooMany => Self::FieldsTooMany,
                    FieldError::Value => Self::FieldValue,
                    FieldError::ValueTooLong => Self::ValueTooLong,
                }
            }
        }
    };
}

from_field_error!(RequestErrorReason);
from_field_error!(ResponseErrorReason);
