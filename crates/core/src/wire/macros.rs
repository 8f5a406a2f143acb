//! The macros that declare words and objects.

/// A closed set of words, written as strings.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            /// Every word, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Invalid;
            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::Invalid::new(
                        $crate::InvalidCode::InvalidMember,
                        "",
                        concat!("must be one of" $(, " ", $word)*),
                    )),
                }
            }
        }

        impl $crate::wire::Field for $name {
            fn read(value: $crate::json::Value<'_>, at: &$crate::wire::Path<'_>) -> ::std::result::Result<Self, $crate::Invalid> {
                let text: String = $crate::wire::Field::read(value, at)?;
                text.parse().map_err(|error: $crate::Invalid| at.refuse(error.code(), error.detail()))
            }
            fn recorded(text: &mut $crate::json::Recorded<'_>) -> Option<Self> {
                text.string()?.parse().ok()
            }
            fn write(&self, out: &mut Vec<u8>) {
                $crate::json::write_string(out, self.as_str());
            }
            fn shape() -> $crate::wire::Shape {
                $crate::wire::Shape::Words(&[$($word),*])
            }
        }
    };
}

/// Declares a struct of members with its reader and its writer.
///
/// Modes: `required`, `optional` (absent and null are the same), `default` (filled in), `generated` (an absent one is
/// filled in from injected sources before the write, and is taken from the record when the op is compared with it),
/// `door` (stated by the door alone: an optional member that stands in no description of what may be sent), `aside` (no
/// member: stays where it is).
#[macro_export]
macro_rules! object {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:literal])* $mode:ident $field:ident : $type:ty $(= $default:expr)?),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name { $($(#[doc = $doc])* pub $field: $crate::object!(@type $mode $type)),* }

        impl $crate::wire::Fields for $name {
            fn take(
                object: &mut $crate::json::Object<'_>,
                at: &$crate::wire::Path<'_>,
            ) -> ::std::result::Result<Self, $crate::Invalid> {
                Ok(Self { $($field: $crate::object!(@take $mode object, stringify!($field), at $(, $default)?)),* })
            }
            fn recorded(
                text: &mut $crate::json::Recorded<'_>,
                mut other: impl FnMut(&mut $crate::json::Recorded<'_>, &str) -> Option<()>,
            ) -> Option<Self> {
                $(let mut $field = <Option<$type>>::None;)*
                let mut members = text.members()?;
                while let Some(name) = members.name() {
                    members.read(|text| {
                        $($crate::object!(@recorded $mode text, name, $field);)*
                        other(text, name)
                    })?;
                }
                Some(Self { $($field: $crate::object!(@found $mode $field $(, $default)?)),* })
            }
            fn put(&self, out: &mut $crate::wire::Draft) {
                $($crate::object!(@put $mode out, stringify!($field), self.$field);)*
            }
            const NAME: &'static str = stringify!($name);
            fn members() -> Vec<$crate::wire::Member> {
                [$($crate::object!(@member $mode stringify!($field), concat!($($doc),*), $type)),*]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        }
    };
    (@type required $type:ty) => { $type };
    (@type default $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@type generated $type:ty) => { Option<$type> };
    (@type door $type:ty) => { Option<$type> };
    (@type aside $type:ty) => { $type };
    (@take aside $object:ident, $name:expr, $at:ident) => { <_>::default() };
    (@member aside $name:expr, $doc:expr, $type:ty) => { None };
    (@member door $name:expr, $doc:expr, $type:ty) => { None };
    (@member required $name:expr, $doc:expr, $type:ty) => {
        Some($crate::wire::Member::new($name, $doc, true, <$type as $crate::wire::Field>::shape()))
    };
    (@member $mode:ident $name:expr, $doc:expr, $type:ty) => {
        Some($crate::wire::Member::new($name, $doc, false, <$type as $crate::wire::Field>::shape()))
    };
    (@recorded aside $text:ident, $name:ident, $field:ident) => { $field = None };
    (@recorded $mode:ident $text:ident, $name:ident, $field:ident) => {
        if $name == stringify!($field) {
            if !$text.eats_null() {
                $field = Some($crate::wire::Field::recorded($text)?);
            }
            return Some(());
        }
    };
    (@found aside $field:ident) => { $field.unwrap_or_default() };
    (@found required $field:ident) => { $field? };
    (@found default $field:ident, $default:expr) => { $field.unwrap_or_else(|| $default) };
    (@found $mode:ident $field:ident) => { $field };
    (@put aside $out:ident, $name:expr, $value:expr) => { };
    (@take required $object:ident, $name:expr, $at:ident) => { $crate::wire::take_required($object, $name, $at)? };
    (@take default $object:ident, $name:expr, $at:ident, $default:expr) => {
        $crate::wire::take_optional($object, $name, $at)?.unwrap_or_else(|| $default)
    };
    (@take $mode:ident $object:ident, $name:expr, $at:ident) => { $crate::wire::take_optional($object, $name, $at)? };
    (@put required $out:ident, $name:expr, $value:expr) => { $out.put($name, &$value) };
    (@put default $out:ident, $name:expr, $value:expr) => { $out.put($name, &$value) };
    (@put $mode:ident $out:ident, $name:expr, $value:expr) => { $out.put_optional($name, $value.as_ref()) };
}

/// Makes a type of known members a [`Field`](crate::wire::Field), to stand inside others.
#[macro_export]
macro_rules! object_field {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::wire::Field for $type {
            fn read(value: $crate::json::Value<'_>, at: &$crate::wire::Path<'_>) -> ::std::result::Result<Self, $crate::Invalid> {
                $crate::wire::read_whole(value, at)
            }
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice($crate::wire::to_json(self).as_str().as_bytes());
            }
            fn shape() -> $crate::wire::Shape {
                $crate::wire::Shape::of::<Self>()
            }
        }
    )*};
}
