package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// A Reason says in a few words why a peer is not believed. Logs hold it; docs/operations.md says what to do about each.
type Reason string

// The reasons.
const (
	NoTLS         Reason = "it speaks without TLS"
	NoCertificate Reason = "it has no certificate"
	OtherCA       Reason = "its certificate is of another CA"
	Expired       Reason = "its certificate has expired"
	NotYet        Reason = "its certificate is not valid yet"
	ClientsOwn    Reason = "its certificate is a client's, not a node's"
	OtherCluster  Reason = "its certificate is of another cluster"
	NoIdentity    Reason = "its certificate names nobody"
	OtherName     Reason = "its certificate is another node's"
	OtherAddress  Reason = "its certificate is for another address"
	Unfit         Reason = "its certificate cannot be used"
	Broken        Reason = "it broke the handshake off"
)

// A Refusal is the error with which a peer is not believed.
type Refusal struct {
	Reason Reason
	Detail string // what in the certificate says so; may be empty
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return "identity: " + string(r.Reason)
	}
	return fmt.Sprintf("identity: %s: %s", r.Reason, r.Detail)
}

func refuse(reason Reason, detail string, args ...any) *Refusal {
	return &Refusal{reason, fmt.Sprintf(detail, args...)}
}

// Because finds out why a handshake failed. It is never nil.
func Because(err error) *Refusal {
	refusal, plain := (*Refusal)(nil), tls.RecordHeaderError{}
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.As(err, &plain):
		return refuse(NoTLS, "%v", err)
	}
	if r := invalid(err, time.Now()); r != nil {
		return r
	}
	return refuse(Broken, "%v", err)
}

// invalid is the reason in an error of package x509; nil if it is none of its.
func invalid(err error, now time.Time) *Refusal {
	stranger, invalid, elsewhere := x509.UnknownAuthorityError{}, x509.CertificateInvalidError{}, x509.HostnameError{}
	switch {
	case errors.As(err, &stranger) && stranger.Cert != nil:
		return refuse(OtherCA, "%q says that it was issued by %q", stranger.Cert.Subject, stranger.Cert.Issuer)
	case errors.As(err, &stranger):
		return refuse(OtherCA, "%v", err)
	case errors.As(err, &elsewhere):
		return refuse(OtherAddress, "%v", elsewhere)
	case !errors.As(err, &invalid):
		return nil
	case invalid.Reason != x509.Expired:
		return refuse(Unfit, "%v", err)
	case now.Before(invalid.Cert.NotBefore):
		return refuse(NotYet, "%q from %s on", invalid.Cert.Subject, invalid.Cert.NotBefore.Format(time.RFC3339))
	default:
		return refuse(Expired, "%q on %s", invalid.Cert.Subject, invalid.Cert.NotAfter.Format(time.RFC3339))
	}
}
