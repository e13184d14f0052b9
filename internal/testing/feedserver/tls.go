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
	pool, cert, err := issue(kind)
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
	return s, pool
}

// issue makes an authority and a certificate of that kind.
func issue(kind Cert) (*x509.CertPool, tls.Certificate, error) {
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "feeds.example"},
		NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 1, 0),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	switch kind {
	case CertExpired:
		leaf.NotAfter = now.AddDate(0, 0, -1)
	case CertWrongHost:
		leaf.DNSNames, leaf.IPAddresses = []string{"elsewhere.example"}, nil
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	parent, signer := ca, caKey
	if kind == CertSelfSigned {
		parent, signer = leaf, key
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, key.Public(), signer)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	pool, err := poolOf(ca, caKey)
	return pool, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// poolOf trusts an authority.
func poolOf(ca *x509.Certificate, key *ecdsa.PrivateKey) (*x509.CertPool, error) {
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	return pool, nil
}
