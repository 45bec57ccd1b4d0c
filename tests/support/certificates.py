"""Certificates made while the tests run: an authority, what it issues, and OCSP answers."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key(kind: str = "ec") -> Key:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)


def now() -> datetime.datetime:
    return datetime.datetime.utcnow()


def alternative(name: str) -> x509.GeneralName:
    if name.startswith("URI:"):
        return x509.UniformResourceIdentifier(name[4:])
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass
class Issued:
    """A certificate in a folder: NAME.pem with its chain, NAME.key."""
    certificate: x509.Certificate
    key: Key
    pem: Path
    key_path: Path

    @property
    def config(self) -> dict[str, str]:
        return {"certificate": str(self.pem), "key": str(self.key_path)}

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


class Authority:
    """Issues certificates into a folder; `pem` is its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.key, self.pem = folder, new_key(), folder / f"{name}.pem"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now() - datetime.timedelta(days=400))
            .not_valid_after(now() + datetime.timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256()))
        self.pem.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, *names: str, file: str | None = None, kind: str = "ec", days: float = 90,
              ocsp_url: str | None = None) -> Issued:
        """A certificate for names (and `URI:...`), the first of which is the subject, too. Negative days: it has expired."""
        key = new_key(kind)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(self.certificate.subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now() - datetime.timedelta(days=300))
            .not_valid_after(now() + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([alternative(name) for name in names]), critical=False))
        if ocsp_url:
            builder = builder.add_extension(x509.AuthorityInformationAccess([x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp_url))]), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        file = file or names[0].replace("*", "_").replace("/", "_")
        issued = Issued(certificate, key, self.folder / f"{file}.pem", self.folder / f"{file}.key")
        issued.pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + self.pem.read_bytes())
        issued.key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                      serialization.NoEncryption()))
        return issued

    def ocsp(self, issued: Issued, good: bool = True, hours: float = 2) -> bytes:
        """An OCSP answer that holds from an hour ago for so many hours from now."""
        status = ocsp.OCSPCertStatus.GOOD if good else ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            issued.certificate, self.certificate, hashes.SHA1(), status, now() - datetime.timedelta(hours=1),
            now() + datetime.timedelta(hours=hours), None if good else now(), None)
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, self.certificate)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
