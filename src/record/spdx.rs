//! What is in an image and where it came from, as an SPDX 2.3 document in JSON
//! (<https://spdx.github.io/spdx-spec/v2.3/>).
//!
//! The image is a package that contains its files, each with both digests; it was generated from the packages
//! of its root, as was each file that is known to be one of theirs. Nothing is claimed that no package says:
//! neither licences nor suppliers, nor whose distribution it is.

use serde::Serialize;
use sha1::{Digest as _, Sha1};

use crate::date::Moment;
use crate::digest::Digest;
use crate::image_path::{ImagePath, Shown};
use crate::plan::{Node, Plan};
use crate::report::{GENERATOR, ImageReport, PackageReport};

/// What an image is accounted for by.
pub struct Account<'a> {
    /// The kernel that it is for.
    pub kernel: &'a str,
    /// Its entries.
    pub plan: &'a Plan,
    /// The packages that its root is made of.
    pub packages: &'a [PackageReport],
    /// The program that comes with this one, where it is in the image.
    pub own_program: Option<&'a ImagePath>,
    /// The image.
    pub image: &'a ImageReport,
    /// When it is said to be made, in seconds since 1970.
    pub created: u32,
}

/// That nothing is claimed.
const NO_ASSERTION: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const OWN_PROGRAM: &str = "SPDXRef-Init";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package<'a>>,
    files: Vec<File>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_file_name: Option<&'a str>,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_verification_code: Option<VerificationCode>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerificationCode {
    package_verification_code_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

impl Checksum {
    fn sha256(digest: Digest) -> Checksum {
        Checksum {
            algorithm: "SHA256",
            checksum_value: digest.to_string(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(rename = "SPDXID")]
    id: String,
    file_name: String,
    checksums: [Checksum; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

fn relates(
    element: impl Into<String>,
    how: &'static str,
    related: impl Into<String>,
) -> Relationship {
    Relationship {
        spdx_element_id: element.into(),
        relationship_type: how,
        related_spdx_element: related.into(),
    }
}

/// The document's text: the same of the same account.
///
/// # Errors
/// None that is known of.
pub fn text(account: &Account<'_>) -> Result<String, serde_json::Error> {
    let files = files(account.plan);
    let mut relationships = vec![relates(DOCUMENT, "DESCRIBES", IMAGE)];
    relationships.extend(of_image(account));
    for (file, (path, origin)) in files.iter().zip(regular_files(account.plan)) {
        relationships.push(relates(IMAGE, "CONTAINS", &file.id));
        let source = source(account, path, origin);
        relationships.extend(source.map(|source| relates(&file.id, "GENERATED_FROM", source)));
    }
    let mut document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: format!("initrd-{}", account.kernel),
        document_namespace: String::new(),
        creation_info: CreationInfo {
            created: Moment::of(account.created).to_stamp(),
            creators: [format!("Tool: {}", GENERATOR.replace(' ', "-"))],
        },
        packages: packages(account, &files),
        files,
        relationships,
    };
    let nameless = serde_json::to_vec(&document)?;
    document.document_namespace = format!("urn:uuid:{}", uuid(&Digest::of(&nameless)));
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// A UUID made of a digest (RFC 9562, version 8): other documents have other ones, the same has the same.
fn uuid(digest: &Digest) -> String {
    let digits = digest.to_string();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    // The variant's two bits stand for one of four digits.
    let variant = match part(16, 17) {
        "0" | "4" | "8" | "c" => "8",
        "1" | "5" | "9" | "d" => "9",
        "2" | "6" | "a" | "e" => "a",
        _ => "b",
    };
    let [first, second, third] = [part(0, 8), part(8, 12), part(13, 16)];
    let (fourth, last) = (part(17, 20), part(20, 32));
    format!("{first}-{second}-8{third}-{variant}{fourth}-{last}")
}

/// What the image itself was made of.
fn of_image(account: &Account<'_>) -> Vec<Relationship> {
    let packages = (1..=account.packages.len()).map(package_id);
    let own = account.own_program.map(|_| OWN_PROGRAM.to_owned());
    let sources = packages.chain(own);
    sources
        .map(|source| relates(IMAGE, "GENERATED_FROM", source))
        .collect()
}

fn package_id(number: usize) -> String {
    format!("SPDXRef-Package-{number}")
}

/// The regular files, each with where it came from.
fn regular_files(plan: &Plan) -> impl Iterator<Item = (&ImagePath, &str)> {
    let files = plan
        .entries()
        .filter(|(_, entry)| matches!(entry.node, Node::File(_)));
    files.map(|(path, entry)| (path, entry.origin.as_str()))
}

fn files(plan: &Plan) -> Vec<File> {
    let files = plan
        .entries()
        .filter_map(|(path, entry)| match &entry.node {
            Node::File(bytes) => Some((path, bytes)),
            _ => None,
        });
    let file = |(number, (path, bytes)): (usize, (&ImagePath, &Vec<u8>))| File {
        id: format!("SPDXRef-File-{number}"),
        file_name: format!("./{}", Shown(path.as_bytes())),
        checksums: [
            Checksum {
                algorithm: "SHA1",
                checksum_value: sha1(bytes),
            },
            Checksum::sha256(Digest::of(bytes)),
        ],
    };
    (1..).zip(files).map(file).collect()
}

fn sha1(bytes: &[u8]) -> String {
    let digest = Sha1::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The package that a file is known to come from. An origin begins with the name of the package's file, which
/// several may have.
fn source(account: &Account<'_>, path: &ImagePath, origin: &str) -> Option<String> {
    if account.own_program == Some(path) {
        return Some(OWN_PROGRAM.to_owned());
    }
    let is_of = |package: &PackageReport| {
        let rest = origin.strip_prefix(file_name(&package.path));
        rest.is_some_and(|rest| rest.starts_with(": "))
    };
    let mut numbers = (1..).zip(account.packages);
    let (number, _) = numbers.find(|(_, package)| is_of(package))?;
    numbers
        .all(|(_, package)| !is_of(package))
        .then(|| package_id(number))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn packages<'a>(account: &Account<'a>, files: &[File]) -> Vec<Package<'a>> {
    let own = account.own_program.map(|_| own_program());
    let sources = (1..).zip(account.packages);
    let sources = sources.map(|(number, package)| source_package(number, package));
    let image = std::iter::once(image(account, files));
    image.chain(sources).chain(own).collect()
}

fn image<'a>(account: &Account<'a>, files: &[File]) -> Package<'a> {
    let name = file_name(&account.image.path);
    Package {
        id: IMAGE.to_owned(),
        name: format!("initrd-{}", account.kernel),
        version_info: None,
        package_file_name: (name != "-").then_some(name),
        download_location: NO_ASSERTION,
        files_analyzed: true,
        package_verification_code: Some(VerificationCode {
            package_verification_code_value: verification_code(files),
        }),
        checksums: vec![Checksum::sha256(account.image.sha256)],
        external_refs: Vec::new(),
    }
}

/// The digest of the files' digests, sorted (section 7.9).
fn verification_code(files: &[File]) -> String {
    let of_file = |file: &File| {
        let [Checksum { checksum_value, .. }, _] = &file.checksums;
        checksum_value.clone()
    };
    let mut digests: Vec<String> = files.iter().map(of_file).collect();
    digests.sort_unstable();
    sha1(digests.concat().as_bytes())
}

/// The native init: it is made with this program, and has its version.
fn own_program() -> Package<'static> {
    Package {
        id: OWN_PROGRAM.to_owned(),
        name: "xinitrd-init".to_owned(),
        version_info: Some(env!("CARGO_PKG_VERSION")),
        package_file_name: None,
        download_location: NO_ASSERTION,
        files_analyzed: false,
        package_verification_code: None,
        checksums: Vec::new(),
        external_refs: Vec::new(),
    }
}

fn source_package(number: usize, package: &PackageReport) -> Package<'_> {
    let file_name = file_name(&package.path);
    let purl = purl(package).map(|locator| ExternalRef {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: locator,
    });
    Package {
        id: package_id(number),
        name: package.name.as_deref().unwrap_or(file_name).to_owned(),
        version_info: package.version.as_deref(),
        package_file_name: Some(file_name),
        download_location: NO_ASSERTION,
        files_analyzed: false,
        package_verification_code: None,
        checksums: vec![Checksum::sha256(package.sha256)],
        external_refs: purl.into_iter().collect(),
    }
}

/// The package's URL (<https://github.com/package-url/purl-spec>), without a namespace: whose distribution it is
/// of the package does not say. Nothing for what says no name.
fn purl(package: &PackageReport) -> Option<String> {
    let kind = match package.format.as_str() {
        "deb" => "deb",
        "rpm" => "rpm",
        "pacman" => "alpm",
        "apk" => "apk",
        _ => return None,
    };
    let name = package.name.as_deref()?;
    let version = package.version.as_deref();
    // Of an rpm the epoch is a qualifier.
    let (epoch, version) = match version.and_then(|version| version.split_once(':')) {
        Some((epoch, version)) if kind == "rpm" => (Some(epoch), Some(version)),
        _ => (None, version),
    };
    let mut url = format!("pkg:{kind}/{}", percent_encoded(name));
    if let Some(version) = version {
        url += &format!("@{}", percent_encoded(version));
    }
    let arch = package.arch.as_deref().map(|arch| ("arch", arch));
    let qualifiers = arch.into_iter().chain(epoch.map(|epoch| ("epoch", epoch)));
    for (mark, (key, value)) in "?&".chars().zip(qualifiers) {
        url += &format!("{mark}{key}={}", percent_encoded(value));
    }
    Some(url)
}

fn percent_encoded(text: &str) -> String {
    let byte = |&byte: &u8| match byte {
        b'.' | b'-' | b'_' | b'~' | b':' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.as_bytes().iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(format: &str, version: &str) -> PackageReport {
        PackageReport {
            path: "a/b.deb".to_owned(),
            format: format.to_owned(),
            name: Some("gtk+".to_owned()),
            version: Some(version.to_owned()),
            arch: Some("amd64".to_owned()),
            sha256: Digest::of(b""),
        }
    }

    #[test]
    fn a_package_has_the_url_of_what_it_says_of_itself() {
        for (format, version, want) in [
            ("deb", "1:2+b~1-3", "pkg:deb/gtk%2B@1:2%2Bb~1-3?arch=amd64"),
            ("rpm", "1:2-3", "pkg:rpm/gtk%2B@2-3?arch=amd64&epoch=1"),
            ("pacman", "2-3", "pkg:alpm/gtk%2B@2-3?arch=amd64"),
        ] {
            assert_eq!(purl(&package(format, version)).as_deref(), Some(want));
        }
        assert_eq!(purl(&package("tar", "1")), None);
    }

    #[test]
    fn a_digest_makes_a_uuid_of_version_8() {
        let uuid = uuid(&Digest::of(b""));
        assert_eq!(uuid, "e3b0c442-98fc-8c14-9afb-f4c8996fb924");
    }
}
