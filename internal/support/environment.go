package support

import (
	"fmt"
	"slices"
	"strings"

	"uplevel/internal/support/redact"
)

// environment adds the variables that matter, and notes the values that are secrets. Of
// those only the name is told.
func (c *collector) environment() {
	var b strings.Builder
	if c.req.Args != "" {
		fmt.Fprintf(&b, "command: %s\n", c.req.Args)
	}
	vars := slices.Clone(c.req.Environ)
	slices.Sort(vars)
	for _, v := range vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || value == "" {
			continue
		}
		upper := strings.ToUpper(name)
		ours := matters(upper)
		switch {
		case (redact.Named(name) || strings.HasSuffix(upper, "PASSWORD_COMMAND")) && !strings.HasSuffix(upper, "PWD"): // PWD is a folder
			if ours || len(value) >= 8 { // 1 and true are no secrets of other programs
				c.secrets = append(c.secrets, value)
			}
			if ours {
				fmt.Fprintf(&b, "set, and not told: %s\n", name)
			}
			continue
		case strings.HasSuffix(upper, "_PROXY"):
			c.secrets = append(c.secrets, redact.ProxySecrets(value)...)
		}
		if ours {
			fmt.Fprintf(&b, "%s=%s\n", name, strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(value))
		}
	}
	c.add(text("environment.txt", b.String()))
}

// matters reports whether a variable says something about how the tool runs.
func matters(upper string) bool {
	for _, begin := range []string{"UPLEVEL_", "UPDATE_TOOL_", "WSO2_UPDATES_", "LC_", "SSL_CERT_"} {
		if strings.HasPrefix(upper, begin) {
			return true
		}
	}
	return strings.HasSuffix(upper, "_PROXY") || slices.Contains([]string{
		"CI", "CONTAINER", "GODEBUG", "GOMEMLIMIT", "HOME", "KUBERNETES_SERVICE_HOST", "LANG", "LANGUAGE", "NO_COLOR", "PATH", "SHELL",
		"SUDO_UID", "SUDO_USER", "TEMP", "TERM", "TMP", "TMPDIR", "TZ", "USER", "LOGNAME", "USERPROFILE", "XDG_CACHE_HOME", "INVOCATION_ID",
	}, upper)
}
