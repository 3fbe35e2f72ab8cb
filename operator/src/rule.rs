//! The findings of `causeway lint`, by the numbers of its table in `docs/cli.md`.

/// What a finding is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The network falls into parts.
    UnreachableSite,
    /// A site or a link without which it would.
    SinglePointOfFailure,
    /// Two links join the same sites and have no addresses of their own.
    DuplicatePair,
    /// No end of a link can be dialled.
    NotDialable,
    /// Two sites have one short id.
    SiteIdCollision,
    /// A password that can be guessed.
    WeakCredential,
    /// A listener without TLS that is reached from outside.
    PlaintextExposed,
    /// A user that may do nothing.
    UserWithoutRights,
    /// A group that has rights and no users.
    GroupWithoutUsers,
    /// An entry of the authorization that gives nobody anything.
    UnusedEntry,
    /// A right to send advisories, which has no effect.
    AdvisoryWriteIgnored,
    /// A group that may use queues that none of its users may create.
    ReadWithoutAdmin,
    /// Certificates of an authority that is for trying things out.
    DevelopmentCa,
    /// Links that accept passwords beside certificates.
    PasswordAndMtls,
    /// Sites that are far apart.
    LargeDiameter,
    /// What is named and is not in the input.
    UnknownReference,
    /// More links than a network or a site may have.
    TooManyLinks,
    /// A written link has the name of one that the shape makes.
    DuplicateLinkName,
}

impl Rule {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::UnreachableSite => "L01",
            Self::SinglePointOfFailure => "L02",
            Self::DuplicatePair => "L03",
            Self::NotDialable => "L05",
            Self::SiteIdCollision => "L07",
            Self::WeakCredential => "L09",
            Self::PlaintextExposed => "L10",
            Self::UserWithoutRights | Self::GroupWithoutUsers | Self::UnusedEntry => "L11",
            Self::AdvisoryWriteIgnored => "L12",
            Self::ReadWithoutAdmin => "L13",
            Self::DevelopmentCa | Self::PasswordAndMtls => "L14",
            Self::LargeDiameter => "L15",
            Self::UnknownReference => "L16",
            Self::TooManyLinks | Self::DuplicateLinkName => "L17",
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnreachableSite => "UnreachableSite",
            Self::SinglePointOfFailure => "SinglePointOfFailure",
            Self::DuplicatePair => "DuplicatePair",
            Self::NotDialable => "NotDialable",
            Self::SiteIdCollision => "SiteIdCollision",
            Self::WeakCredential => "WeakCredential",
            Self::PlaintextExposed => "PlaintextExposed",
            Self::UserWithoutRights => "UserWithoutRights",
            Self::GroupWithoutUsers => "GroupWithoutUsers",
            Self::UnusedEntry => "UnusedEntry",
            Self::AdvisoryWriteIgnored => "AdvisoryWriteIgnored",
            Self::ReadWithoutAdmin => "ReadWithoutAdmin",
            Self::DevelopmentCa => "DevelopmentCA",
            Self::PasswordAndMtls => "PasswordAndMTLS",
            Self::LargeDiameter => "LargeDiameter",
            Self::UnknownReference => "UnknownReference",
            Self::TooManyLinks => "TooManyLinks",
            Self::DuplicateLinkName => "DuplicateLinkName",
        }
    }
}

/// Number and name, as `L02 SinglePointOfFailure`.
impl std::fmt::Display for Rule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.number(), self.name())
    }
}
