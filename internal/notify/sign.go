package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Headers of a message and its signature, as the Standard Webhooks specification
// 1.0.0 (standardwebhooks.com) names them.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// Sizes of a key in bytes, by the same specification.
const (
	leastKey = 24
	mostKey  = 64
)

// Key is what messages are signed with. The zero Key signs nothing.
type Key struct{ bytes []byte }

// ParseKey reads a secret in the form of Standard Webhooks: base64 of 24 to 64
// bytes, with or without "whsec_" before it. Its errors do not repeat the secret.
func ParseKey(secret string) (Key, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(secret), "whsec_"))
	if err != nil {
		return Key{}, errors.New("the signing secret is not base64, with or without whsec_ before it; `openssl rand -base64 32` makes one")
	}
	if len(raw) < leastKey || len(raw) > mostKey {
		return Key{}, fmt.Errorf("the signing secret has %d bytes, want %d to %d; `openssl rand -base64 32` makes one", len(raw), leastKey, mostKey)
	}
	return Key{raw}, nil
}

// sign is the signature "v1,…" of a message, "" where there is no key.
func (k Key) sign(id string, at time.Time, body []byte) string {
	if len(k.bytes) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, k.bytes)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
