package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
)

// repository is a TUF repository behind two URLs.
type repository struct {
	metadata, targets string
	http              *http.Client
}

// Metadata implements refresh.Remote. File names are escaped for URLs already.
func (r repository) Metadata(ctx context.Context, file string, limit int64) ([]byte, error) {
	body, err := r.get(ctx, r.metadata, file)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, limit+1))
}

// Target implements refresh.TargetRemote.
func (r repository) Target(ctx context.Context, path string) (io.ReadCloser, error) {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return r.get(ctx, r.targets, strings.Join(parts, "/"))
}

func (r repository) get(ctx context.Context, base, path string) (io.ReadCloser, error) {
	address := strings.TrimSuffix(base, "/") + "/" + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	answer, err := r.http.Do(request)
	if err != nil {
		return nil, err
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return answer.Body, nil
	case http.StatusNotFound:
		err = fs.ErrNotExist
	default:
		err = fmt.Errorf("status %s", answer.Status)
	}
	_ = answer.Body.Close()
	return nil, fmt.Errorf("%s: %w", address, err)
}
