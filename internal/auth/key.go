package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"
)

// Shape of a key: ei_<8 characters of id>_<43 characters of secret>. The id is
// lower-case base32 of 5 random bytes, the secret unpadded URL-safe base64 of 32.
const (
	prefix    = "ei_"
	idLen     = 8
	secretLen = 43
	keyLen    = len(prefix) + idLen + 1 + secretLen
)

// Key is one API key as it is stored and listed: everything but the secret.
type Key struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"` // what it is for, in its maker's words
	Role     Role       `json:"role"`
	Created  time.Time  `json:"created"`
	LastUsed *time.Time `json:"last_used"` // written by Flush, so late by up to its period
	Revoked  *time.Time `json:"revoked"`   // set: the key is dead; its row stays
}

// record is a Key with the hash of its secret, which nothing outside sees.
type record struct {
	Key
	SHA256 string `json:"sha256"` // hex, of the secret part
}

// newKey draws an id and a secret. 256 random bits need no slow hash.
func newKey() (plain, id, hash string) {
	var b [5 + 32]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	id = strings.ToLower(base32.StdEncoding.EncodeToString(b[:5]))
	secret := base64.RawURLEncoding.EncodeToString(b[5:])
	return prefix + id + "_" + secret, id, hashSecret(secret)
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// split takes a key apart. It looks at the shape only.
func split(plain string) (id, secret string, ok bool) {
	if len(plain) != keyLen || plain[:len(prefix)] != prefix || plain[len(prefix)+idLen] != '_' {
		return "", "", false
	}
	return plain[len(prefix) : len(prefix)+idLen], plain[keyLen-secretLen:], true
}

// matches compares in constant time.
func (e *entry) matches(secret string) bool {
	h := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(h[:], e.hash[:]) == 1
}

// bearer takes the key out of an Authorization header. Only the Bearer scheme
// exists: a key in a URL ends up in logs and histories.
func bearer(header string) (string, bool) {
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.Trim(rest, " "), true
}
