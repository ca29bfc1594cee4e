package main

import (
	"net/http"

	"uplevel/internal/blob"
	"uplevel/internal/blob/dir"
	"uplevel/internal/entitlement"
	"uplevel/internal/server"
	"uplevel/internal/server/hotfixes"
)

// openObjects opens the object store in a folder.
func openObjects(folder string) (blob.Store, error) { return dir.New(folder) }

// newHandler puts the API and delivery together for the roles of this process.
func newHandler(svc *service) (http.Handler, error) {
	rules := entitlement.Rules{Store: svc.store.DB, Now: svc.p.now}
	s := &server.Service{
		Door: svc.door, Rules: rules,
		Catalogue: svc.store, Metadata: svc.store, Records: svc.store, Content: content{svc.store.blobs}, Blobs: svc.store.blobs,
		Signer: svc.signer, Now: svc.p.now, Log: svc.log, Spool: svc.p.data,
		Hotfixes: &hotfixes.Desk{Store: svc.store, Rules: rules, Blobs: svc.store.blobs, Metadata: svc.store, Signer: svc.signer, Spool: svc.p.data},
	}
	return s.Handler(svc.roles...), nil
}
