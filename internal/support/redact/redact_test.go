package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

func redactor() *Redactor {
	return New(Config{
		Secrets: []string{`p@ss "w"\rd é&%7`, "abc12", "tok-en_of/this+run=="},
		Users:   []string{"kim"}, Hosts: []string{"db01.corp.bank", "web-7"},
		Keep: []string{"https://updates.vendor.example:8443/api", "help@vendor.example"}, Version: "7.1.0",
	})
}

// TestKnownSecretsInEveryEncoding plants one secret in every form that texts have it in.
func TestKnownSecretsInEveryEncoding(t *testing.T) {
	t.Parallel()
	secret := `p@ss "w"\rd é&%7`
	inJSON, _ := json.Marshal(secret)
	twice, _ := json.Marshal(string(inJSON))
	for _, planted := range []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), url.QueryEscape(url.QueryEscape(secret)), strings.ToLower(url.QueryEscape(secret)),
		string(inJSON), string(twice), fmt.Sprintf("%q", secret), fmt.Sprintf("%+q", secret), fmt.Sprintf("%q", fmt.Sprintf("%q", secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("kim:" + secret)),
		base64.URLEncoding.EncodeToString([]byte("a:" + secret)), base64.StdEncoding.EncodeToString([]byte("ab:" + secret + ":x")),
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		`p@ss &quot;w&quot;\rd é&amp;%7`, "p%40ss%20%22w%22%5Crd%20%C3%A9%26%257",
	} {
		got := redactor().Text("before " + planted + " after")
		if !strings.Contains(got, "secret-1") || strings.Contains(got, "ss") || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
			t.Errorf("%q becomes %q", planted, got)
		}
	}
	if got := redactor().Text("abc123 (abc12)"); got != "abc123 (secret-1)" {
		t.Errorf("a short secret: %q", got)
	}
}

// TestSecretsInOtherAlphabets finds them in what editors and shells of Windows write.
func TestSecretsInOtherAlphabets(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"Plain-Pass7", "Pässwört-ß", "Пароль-9€x", "密码-𝄞-xyz"} {
		units := utf16.Encode([]rune("before\r\nsaw " + secret + " there\r\npassword: hunter2x\r\n"))
		var little, big, latin []byte
		for _, u := range units {
			little = binary.LittleEndian.AppendUint16(little, u)
			big = binary.BigEndian.AppendUint16(big, u)
			if u < 0x100 {
				latin = append(latin, byte(u))
			}
		}
		for name, data := range map[string][]byte{"little": little, "big": big, "latin": latin} {
			if name == "latin" && len(latin) < len(units) {
				continue // it has no such letters
			}
			var out bytes.Buffer
			if _, err := New(Config{Secrets: []string{secret}}).Copy(&out, bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); !strings.Contains(got, "saw secret-1 there") || !strings.Contains(got, "password: secret-2") {
				t.Errorf("%s of %q becomes %q", name, secret, got)
			}
		}
	}
}

// TestAnOrdinaryWordLeavesALog has secrets that stand in every log for something else.
func TestAnOrdinaryWordLeavesALog(t *testing.T) {
	t.Parallel()
	r := New(Config{Secrets: []string{"update", "level", "Info", "2026", "443", "admin", "changeit", "changed"}})
	line := `[24-11-2026 18:03:27] INFO - updated shop to level 8 in updates/store with 443 files, {"level": 8, "info": 2026}`
	if got := r.Text(line); got != line {
		t.Errorf("it becomes %q", got)
	}
	for _, line := range []string{"password=update", "-p 2026", "http://kim:admin@proxy", "saw changeit", base64.StdEncoding.EncodeToString([]byte("kim:update"))} {
		if got := r.Text(line); !strings.Contains(got, "secret-") {
			t.Errorf("%q becomes %q", line, got)
		}
	}
}

// TestSecretsThatAreNamed finds secrets that nobody told it, by what stands before them.
func TestSecretsThatAreNamed(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"update -p hunter2x -l 8", "update -phunter2x", "-vp hunter2x", "-p=hunter2x", "-p 'hunter2x y'", `-p "hunter2x y"`,
		"--password hunter2x", "--password=hunter2x", "--password 'hunter2x y'", "password: hunter2x", "password = hunter2x with spaces",
		`"access-token": "hunter2x"`, `"access-token":"hunter2x","a":1`, `{"appKey" : "hunter2x"}`, `error="said \"password\": \"hunter2x\""`, "db.password=hunter2x",
		"password=hunter2x,hunter2x;hunter2x", `password=a"hunter2x`, "<password>hunter2x</password>", `<Password svn="1">hunter2x</Password>`,
		"Authorization: Basic hunter2x==", "Proxy-Authorization: NTLM hunter2x", `header="Authorization: Bearer hunter2x"`, "Cookie: a=hunter2x; b=hunter2x",
		`Set-Cookie: id="hunter2x"; Path=/`, "X-Auth-Token: hunter2x", "Bearer hunter2x12345", "GET /o?expires=5&key=hunter2x&signature=hunter2x",
		"http://kim:hunter2x@proxy:3128", "http://kim:hunt@er:2/x%zz@proxy:3128/hunter2x@a", "https:\\/\\/kim:hunter2x@proxy", "kim:hunter2x@proxy:3128",
		"http%3A%2F%2Fkim%3Ahunter2x%40proxy", "passphrase is: x\nPWD=hunter2x", "export SECRET_KEY=hunter2x", "client_secret=>'hunter2x'",
		"eyJhbGciOiJIUzI1NiJ9.eyJodW50ZXIyeA.hunter2x", "-----BEGIN RSA PRIVATE KEY-----\nhunter2x\nhunter2x\n-----END RSA PRIVATE KEY-----\n",
		`"key": "-----BEGIN PRIVATE KEY-----\nhunter2x\n-----END PRIVATE KEY-----\n"`, "-----BEGIN PRIVATE KEY-----\nhunter2x\n",
		"curl -u kim:hunter2x https://x", "curl --proxy-user 'kim:hunter2x' x", "mysql -uroot -phunter2x", "DOMAIN\\kim:hunter2x@proxy", "bind password hunter2x",
		"password is hunter2x", "Passwort: hunter2x", `the password "hunter2x" was refused`, "apikey hunter2x", `{"password":["hunter2x","hunter2x"]}`,
		"password:\n  hunter2x\n", "\"tokens\": [\n  \"hunter2x\",\n  \"hunter2x\"\n]\n", "client-secret: |\n  hunter2x", "pw=hunter2x",
		"upl_hunter2xAb3dE5fG7hI9jK1lM3nO5", "AKIAHUNTER2XX7EXAMPLE", "f81d4fae-7dec-11d0-hunter2x password=hunter2x",
	} {
		got := redactor().Text(line)
		if strings.Contains(strings.ToLower(got), "hunter2x") || strings.Contains(got, "er:2") {
			t.Errorf("%q becomes %q", line, got)
		}
	}
}

// TestNamesAndAddresses replaces them, each with the same words every time.
func TestNamesAndAddresses(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"at 10.1.2.3 and 10.1.2.4, 10.1.2.3:443 again":                            "at ip-1 and ip-2, ip-1:443 again",
		"[2001:db8::1]:443 fe80::1%eth0 ::1 127.0.0.1 0.0.0.0":                    "[ip-1]:443 ip-2%eth0 ::1 127.0.0.1 0.0.0.0",
		"aa:bb:cc:dd:ee:ff AA-BB-CC-DD-EE-FF aabb.ccdd.eeff":                      "mac-1 mac-1 mac-1",
		"level 7.1.0.8 at 18:03:27 on 24-11-2026":                                 "level 7.1.0.8 at 18:03:27 on 24-11-2026",
		"lib/a.b_5.14.97.5.jar 8.8.8.8 7.1.0.8:443":                               "lib/a.b_5.14.97.5.jar ip-1 ip-2:443",
		"on DB01.corp.bank, db01 and mail7.corp.bank":                             "on host-1, host-3 and host-2",
		"/var/log/db01.log web-7.log web-77":                                      "/var/log/host-1.log host-2.log web-77",
		"https://updates.vendor.example:8443/api?x help@vendor.example":           "https://updates.vendor.example:8443/api?x help@vendor.example",
		"https://intra:8443/api https://x.y.zz/":                                  "https://host-1:8443/api https://host-2/",
		"lookup nexus on 10.0.0.1:53: no such host":                               "lookup host-1 on ip-1:53: no such host",
		"kim@bank.example kim%40bank.example joe@bank.example":                    "email-1 email-1 email-2",
		"nfs filer01:/vol on /home, nexus3:8081 Foo.java:1234":                    "nfs host-2:/vol on /home, host-1:8081 Foo.java:1234",
		"the token of the password was wrong: passed 3":                           "the token of the password was wrong: passed 3",
		"by kim in /home/joe/x as C:\\Users\\ann\\y; root in /root":               "by user-3 in /home/user-2/x as C:\\Users\\user-1\\y; root in /root",
		`user="root" "user": "paul" -u jim kimono`:                                `user="root" "user": "user-1" -u user-2 kimono`,
		"org.wso2.carbon.identity.oauth_7.0.123.jar java.io":                      "org.wso2.carbon.identity.oauth_7.0.123.jar java.io",
		"conf/app.properties Main.java:12 IdentityOAuth2ServiceProviderComponent": "conf/app.properties Main.java:12 IdentityOAuth2ServiceProviderComponent",
		"updates/store/" + strings.Repeat("3b5d0123", 8):                          "updates/store/sha256-3b5d01233b5d",
		"f81d4fae-7dec-11d0-a765-00a0c91e6bf6":                                    "word-1",
		"token-file=/etc/uplevel/t --password-file /x/y":                          "token-file=/etc/uplevel/t --password-file /x/y",
		"secret-1 host-2 http://secret-1@host-2:80 password=secret-7":             "secret-1 host-2 http://secret-1@host-2:80 password=secret-7",
	} {
		if got := redactor().Text(line); got != want {
			t.Errorf("%q becomes\n%q, want\n%q", line, got, want)
		}
	}
}

// TestPlaceholdersStay redacts a second time what was redacted: nothing is replaced again.
func TestPlaceholdersStay(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"http://kim:hunter2@proxy.bank:3128 password=a -p b \"token\": \"c\" Authorization: Basic ZGVm", "user=kim kim@bank.example kim:pw@web-7 10.1.2.3:80",
		"lookup db01.corp.bank on 10.0.0.1:53, aa:bb:cc:dd:ee:ff f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "/home/joe/" + strings.Repeat("3b5d0123", 8),
		"<password>x</password> password is y; password:\n z\n-----BEGIN KEY-----\nq\n", "nfs filer01:/vol nexus3:8081 curl -u a:b https://x.y.z/",
	} {
		once := redactor().Text(line)
		if twice := redactor().Text(once); twice != once {
			t.Errorf("%q becomes\n%q, then\n%q", line, once, twice)
		}
	}
}

// TestWhatIsLearnedIsFoundBefore learns names from one text and finds them in another.
func TestWhatIsLearnedIsFoundBefore(t *testing.T) {
	t.Parallel()
	r := redactor()
	if err := r.LearnFrom(strings.NewReader("GET https://nexus.inner.bank/x by user=mary\nlookup ldap7: no such host\nunknown host appserver; Connected to db-prod-3 port 5432; connected to service\n")); err != nil {
		t.Fatal(err)
	}
	if got := r.Text("nexus.inner.bank nexus gate.inner.bank mary MARY ldap7 marylin appserver db-prod-3 service"); got != "host-1 host-3 host-2 user-1 user-1 host-4 marylin host-5 host-6 service" {
		t.Errorf("%q", got)
	}
}

// TestNoSecretSurvives plants random secrets of every kind in random surroundings.
func TestNoSecretSurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-zA-Z0-9@:/%&+=?#!*.,;~ "'\\<>éß-]{6,40}`).Draw(t, "secret")
		if strings.TrimSpace(secret) != secret || isPlaceholder(secret) || strings.Trim(secret, "secrt-0123456789") == "" {
			t.Skip()
		}
		r := New(Config{Secrets: []string{secret}})
		around := rapid.SampledFrom([]string{"%s", "x%s", "%sx", "password=%s", "http://u:%s@h:1", `"token":"%s"`, "-p %s", "-----BEGIN %s", " %s %[1]s"}).Draw(t, "around")
		as := rapid.SampledFrom([]func(string) string{
			func(s string) string { return s }, url.QueryEscape, url.PathEscape,
			func(s string) string { q := fmt.Sprintf("%q", s); return q[1 : len(q)-1] },
			func(s string) string { b, _ := json.Marshal(s); return string(b[1 : len(b)-1]) },
			func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
			func(s string) string { return base64.StdEncoding.EncodeToString([]byte("user:" + s)) },
			func(s string) string { return hex.EncodeToString([]byte(s)) },
		}).Draw(t, "as")
		text := fmt.Sprintf(around, as(secret))
		if got := r.Text(text); strings.Contains(got, secret) || strings.Contains(got, as(secret)) {
			t.Fatalf("%q becomes %q", text, got)
		}
	})
}

func FuzzCopy(f *testing.F) {
	f.Add([]byte("password=hunter2 10.0.0.1\n-----BEGIN X-----\nabc\n-----END X-----\n"), 7)
	f.Add([]byte("http://a:b@c@d:1 \\\\x\\u00e9%25%4"), 1)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		const secret = "Zq9-fixed-secret"
		at := 0
		if len(data) > 0 {
			at = max(step, -step) % len(data)
			at = max(at, 0)
		}
		text := string(data[:at]) + secret + string(data[at:])
		r := New(Config{Secrets: []string{secret}})
		var out bytes.Buffer
		if _, err := r.Copy(&out, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), secret) {
			t.Fatalf("%q becomes %q", text, out.String())
		}
	})
}

// TestLongLinesAreBounded redacts a line of 100 MB, and one whose cut goes through a secret.
func TestLongLinesAreBounded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	left, err := redactor().Copy(&out, io.LimitReader(endless{}, 100<<20))
	if err != nil || out.Len() > maxLine+200 || left < 99<<20 {
		t.Errorf("%d bytes written, %d left out: %v", out.Len(), left, err)
	}
	const secret = "The-Secret-of-the-Cut"
	for shift := 0; shift < 60; shift += 9 {
		for _, at := range []int{maxLine, maxLine - overlap} {
			line := strings.Repeat("word ", maxLine)[:at-shift] + secret + strings.Repeat(" word", maxLine)
			out.Reset()
			if _, err := New(Config{Secrets: []string{secret}}).Copy(&out, strings.NewReader(line)); err != nil || strings.Contains(out.String(), secret[:8]) {
				t.Fatalf("the cut at %d tells of the secret: %q, %v", at-shift, out.String()[out.Len()-100:], err)
			}
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "abcdefg hij: "[i%13]
	}
	return len(p), nil
}

func BenchmarkLog(b *testing.B) {
	line := `[24-11-2026 18:03:27] DEBUG - item name="repository/components/plugins/org.wso2.carbon.identity.oauth_7.0.123.jar"` + "\n"
	text := strings.Repeat(line, 1000)
	r := redactor()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, _ = r.Copy(io.Discard, strings.NewReader(text))
	}
}
