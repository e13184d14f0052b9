package opensearchtest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const deploy = "../../../deploy/opensearch"

// TestSetup: what setup.sh makes is what compose.yaml needs, and what it made once
// it never changes.
func TestSetup(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	setup := func(tool string) (string, error) {
		cmd := exec.Command("bash", filepath.Join(deploy, "setup.sh"), dir)
		cmd.Env = append(os.Environ(), "HASH_TOOL="+tool)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	broken := filepath.Join(dir, "broken.sh")
	if err := os.WriteFile(broken, []byte("exit 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := setup(broken); err == nil || !strings.Contains(out, "no hashes") {
		t.Errorf("without hashes: %v, %s", err, out)
	}
	tool := filepath.Join(dir, "hash.sh") // of the plug-in, which a real cluster is started with elsewhere
	if err := os.WriteFile(tool, []byte("echo '** a warning **'\nprintf '$2y$12$%s\\n' \"$(echo \"$2\" | tr 0-9 a-j)\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := setup(tool); err != nil || !strings.Contains(out, "Ready") {
		t.Fatalf("%v, %s", err, out)
	}
	made := contents(t, dir)
	checkCertificates(t, dir)
	checkSecrets(t, made)
	if out, err := setup(broken); err != nil {
		t.Errorf("the second time: %v, %s", err, out)
	}
	for name, s := range contents(t, dir) {
		if made[name] != s {
			t.Errorf("%s was changed", name)
		}
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{".env", "internal_users.yml", "certs/ca.pem", "certs/node.pem", "certs/node.key", "certs/admin.pem", "certs/admin.key"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(b)
	}
	return out
}

// checkCertificates: clients that trust the authority believe the nodes by every
// name that compose.yaml gives them, and nodes the other nodes.
func checkCertificates(t *testing.T, dir string) {
	t.Helper()
	authorities := x509.NewCertPool()
	if b, err := os.ReadFile(filepath.Join(dir, "certs/ca.pem")); err != nil || !authorities.AppendCertsFromPEM(b) {
		t.Fatal(err)
	}
	for _, name := range []string{"node", "admin"} {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "certs", name+".pem"), filepath.Join(dir, "certs", name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil || c.Subject.String() != "CN=elasticintel-"+name {
			t.Fatalf("%v, %v", c.Subject, err)
		}
		for _, host := range []string{"opensearch1", "opensearch2", "opensearch3", "localhost", "127.0.0.1"} {
			for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
				if _, err := c.Verify(x509.VerifyOptions{DNSName: host, Roots: authorities, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
					t.Errorf("%s for %s: %v", name, host, err)
				}
			}
		}
	}
}

// checkSecrets: every variable that compose.yaml wants and has no default for is
// made, and passwords are where they must be only.
func checkSecrets(t *testing.T, made map[string]string) {
	t.Helper()
	compose, err := os.ReadFile(filepath.Join(deploy, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`\$\{([A-Z_]+)(:-[^}]*)?`).FindAllStringSubmatch(string(compose), -1)
	for _, m := range wanted {
		if m[2] == "" && !strings.Contains(made[".env"], m[1]+"=") {
			t.Errorf("nothing makes %s", m[1])
		}
	}
	passwords := regexp.MustCompile(`(?m)^[A-Z]+_PASSWORD=([0-9a-f]{32})$`).FindAllStringSubmatch(made[".env"], -1)
	if len(passwords) != 2 || len(wanted) < 4 || passwords[0][1] == passwords[1][1] {
		t.Fatalf("%d passwords, %d variables", len(passwords), len(wanted))
	}
	users := made["internal_users.yml"]
	if strings.Count(users, `hash: "$2y$12$`) != 2 || strings.Contains(users, passwords[0][1]) || strings.Contains(users, passwords[1][1]) {
		t.Error(users)
	}
	for _, m := range regexp.MustCompile(`\./([a-z_./]+):/usr`).FindAllStringSubmatch(string(compose), -1) {
		if made[m[1]] == "" {
			t.Errorf("%s is mounted, and not made", m[1])
		}
	}
	if v := strings.TrimSuffix(V2, ".0"); strings.Count(string(compose), "${OPENSEARCH_VERSION:-"+v+"}") != 2 {
		t.Errorf("the images are not of %s, which is tested", v)
	}
}
