// Package proxytest is a proxy for tests that wants NTLM. It judges the proof of a
// password by its own reading of MS-NLMP, and shares no code with what it judges.
package proxytest

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // NTLM is made of it
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //nolint:staticcheck,gosec // NTLM is made of it
)

// NTLM is a proxy that opens tunnels for one user.
type NTLM struct {
	Scheme                 string // NTLM or Negotiate
	Domain, User, Password string
	Hosts                  map[string]string // host:port → where it really is
	Also                   []string          // further schemes that it claims to take

	mu     sync.Mutex
	proofs int
	passed int
	why    []string
}

// Start serves on a loopback port until the listener is closed.
func (p *NTLM) Start() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed by the caller
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return l, nil
}

// Counts returns how many proofs of a password came, how many were right, and why the
// others were not.
func (p *NTLM) Counts() (proofs, passed int, why []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proofs, p.passed, append([]string{}, p.why...)
}

// serve is one connection: its state is what NTLM is about.
func (p *NTLM) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	var challenge []byte
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		message := p.message(r)
		switch {
		case len(message) > 12 && message[8] == 1:
			challenge = make([]byte, 8)
			_, _ = rand.Read(challenge)
			p.want(c, " "+base64.StdEncoding.EncodeToString(p.challenge(challenge)))
		case len(message) > 12 && message[8] == 3 && challenge != nil:
			if !p.judged(p.verify(message, challenge)) {
				p.want(c, "")
				challenge = nil
				continue
			}
			p.pass(c, in, r)
			return
		default:
			p.want(c, "")
		}
	}
}

func (p *NTLM) message(r *http.Request) []byte {
	text, ok := strings.CutPrefix(r.Header.Get("Proxy-Authorization"), p.Scheme+" ")
	if !ok {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !bytes.HasPrefix(data, []byte("NTLMSSP\x00")) {
		return nil
	}
	return data
}

func (p *NTLM) want(c net.Conn, token string) {
	const page = "<html>login</html>"
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: %s%s\r\n", p.Scheme, token)
	for _, s := range p.Also {
		fmt.Fprintf(&b, "Proxy-Authenticate: %s realm=\"x\"\r\n", s)
	}
	fmt.Fprintf(&b, "Content-Type: text/html\r\nContent-Length: %d\r\nProxy-Connection: keep-alive\r\n\r\n%s", len(page), page)
	_, _ = io.WriteString(c, b.String())
}

func (p *NTLM) judged(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proofs++
	if err != nil {
		p.why = append(p.why, err.Error())
		return false
	}
	p.passed++
	return true
}

// pass opens the tunnel.
func (p *NTLM) pass(c net.Conn, in io.Reader, r *http.Request) {
	to := r.URL.Host
	if place, ok := p.Hosts[to]; ok {
		to = place
	}
	up, err := net.Dial("tcp", to) //nolint:gosec,noctx // a proxy goes where it is asked to
	if err != nil || r.Method != http.MethodConnect {
		_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer up.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		_, _ = io.Copy(up, in)
		_ = up.Close()
	}()
	_, _ = io.Copy(c, up)
}

// Flags of a challenge: Unicode, request target, NTLM, always sign, target is a domain,
// extended session security, target information.
const challengeFlags = 0x00000001 | 0x00000004 | 0x00000200 | 0x00008000 | 0x00010000 | 0x00080000 | 0x00800000

// challenge is MS-NLMP 2.2.1.2, with the domain and this computer as target information.
func (p *NTLM) challenge(nonce []byte) []byte {
	name := wide(p.Domain)
	info := p.targetInfo()
	const head = 48
	m := append([]byte("NTLMSSP\x00"), 2, 0, 0, 0)
	m = field(m, len(name), head)
	m = binary.LittleEndian.AppendUint32(m, challengeFlags)
	m = append(m, nonce...)
	m = append(m, make([]byte, 8)...)
	m = field(m, len(info), head+len(name))
	return append(append(m, name...), info...)
}

func (p *NTLM) targetInfo() []byte {
	var info []byte
	for id, text := range []string{1: "PROXY", 2: p.Domain} { // NetBIOS names of computer and domain
		if text != "" {
			v := wide(text)
			info = binary.LittleEndian.AppendUint16(info, uint16(id))
			info = binary.LittleEndian.AppendUint16(info, uint16(len(v))) //nolint:gosec // short
			info = append(info, v...)
		}
	}
	return append(info, 0, 0, 0, 0)
}

func field(m []byte, length, offset int) []byte {
	m = binary.LittleEndian.AppendUint16(m, uint16(length))    //nolint:gosec // short
	m = binary.LittleEndian.AppendUint16(m, uint16(length))    //nolint:gosec // short
	return binary.LittleEndian.AppendUint32(m, uint32(offset)) //nolint:gosec // short
}

// verify judges MS-NLMP 2.2.1.3: an NTLMv2 response (3.3.2) of the one user.
func (p *NTLM) verify(m, nonce []byte) error {
	response, err1 := part(m, 20)
	domain, err2 := part(m, 28)
	user, err3 := part(m, 36)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if got := narrow(domain) + `\` + narrow(user); !strings.EqualFold(got, p.Domain+`\`+p.User) && !strings.EqualFold(got, `\`+p.User) {
		return fmt.Errorf("no such user: %q", got)
	}
	if len(response) < 16+28+len(p.targetInfo()) {
		return fmt.Errorf("the response has %d bytes: no NTLMv2", len(response))
	}
	if !bytes.Contains(response[16:], p.targetInfo()[:len(p.targetInfo())-4]) || response[16] != 1 {
		return errors.New("the response is not bound to the target")
	}
	hash := md4.New() //nolint:gosec // NTLM is made of it
	_, _ = hash.Write(wide(p.Password))
	key := mac(hash.Sum(nil), wide(strings.ToUpper(narrow(user))+narrow(domain)))
	if !hmac.Equal(mac(key, append(bytes.Clone(nonce), response[16:]...)), response[:16]) {
		return errors.New("the proof is wrong")
	}
	return nil
}

func mac(key, text []byte) []byte {
	h := hmac.New(md5.New, key)
	_, _ = h.Write(text)
	return h.Sum(nil)
}

// part is what a field of a message at an offset names.
func part(m []byte, at int) ([]byte, error) {
	if len(m) < at+8 {
		return nil, errors.New("the message is cut")
	}
	length, offset := int(binary.LittleEndian.Uint16(m[at:])), int(binary.LittleEndian.Uint32(m[at+4:]))
	if offset+length > len(m) {
		return nil, errors.New("a field leads out of the message")
	}
	return m[offset : offset+length], nil
}

func wide(text string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func narrow(b []byte) string {
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(b[i:]))
	}
	return string(utf16.Decode(units))
}
