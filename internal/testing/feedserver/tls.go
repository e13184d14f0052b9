package feedserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// Cert names a kind of certificate.
type Cert string

// The certificates. All but SelfSigned are of the authority that StartTLS returns.
const (
	CertGood       Cert = "good"        // for 127.0.0.1, ::1 and localhost
	CertExpired    Cert = "expired"     // since yesterday
	CertWrongHost  Cert = "wrong-host"  // for another name
	CertSelfSigned Cert = "self-signed" // of nobody's authority
	CertNone       Cert = "none"        // the server speaks no TLS although its URL says https
)

// StartTLS is Start with https, and returns the authority to trust.
func StartTLS(t testing.TB, kind Cert) (*Server, *x509.CertPool) {
	t.Helper()
	s := New()
	s.scheme = "https"
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.issue(kind, []string{"127.0.0.1", "::1", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	if kind != CertNone {
		s.wrap = func(l net.Listener) net.Listener {
			return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
		}
	}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, a.Pool
}

// Authority signs the certificates of a network of the test's own.
type Authority struct {
	Pool *x509.CertPool // to be trusted
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(signed)
	return &Authority{Pool: pool, ca: ca, key: key}, nil
}

// Listener is l with TLS, under a certificate of that kind for the hosts. Of
// CertNone it is l.
func (a *Authority) Listener(l net.Listener, kind Cert, hosts ...string) (net.Listener, error) {
	if kind == CertNone {
		return l, nil
	}
	cert, err := a.issue(kind, hosts)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}), nil
}

// issue makes a certificate.
func (a *Authority) issue(kind Cert, hosts []string) (tls.Certificate, error) {
	now := time.Now()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "feeds.example"},
		NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 1, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	switch kind {
	case CertExpired:
		leaf.NotAfter = now.AddDate(0, 0, -1)
	case CertWrongHost:
		leaf.DNSNames, leaf.IPAddresses = []string{"elsewhere.example"}, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	parent, signer := a.ca, a.key
	if kind == CertSelfSigned {
		parent, signer = leaf, key
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, key.Public(), signer)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
