CREATE TABLE cell (
    one {int} PRIMARY KEY, key_check {blob} NOT NULL, root_workspace {blob}, demo {int} NOT NULL, created_at {int} NOT NULL
);
CREATE TABLE feed_head (
    one {int} PRIMARY KEY, incarnation {blob} NOT NULL, n {int} NOT NULL, owner {blob} NOT NULL,
    left_cleanly {int} NOT NULL DEFAULT 0
);
CREATE TABLE feed (
    n {int} PRIMARY KEY, workspace {blob} NOT NULL, kind {int} NOT NULL, id {blob} NOT NULL, jti {blob},
    reason {text} NOT NULL, at {int} NOT NULL
);
CREATE TABLE audit (
    workspace {blob} NOT NULL, id {blob} NOT NULL, action {text} NOT NULL, target {text} NOT NULL, initiator {text} NOT NULL,
    detail {text} NOT NULL, at {int} NOT NULL, PRIMARY KEY (workspace, id)
){clustered};
CREATE TABLE workspace (
    id {blob} PRIMARY KEY, name {text} NOT NULL UNIQUE, epoch {int} NOT NULL, enabled {int} NOT NULL,
    settings {text} NOT NULL, created_at {int} NOT NULL
){clustered};
CREATE TABLE workspace_key (
    workspace {blob} NOT NULL, purpose {text} NOT NULL, number {int} NOT NULL, state {text} NOT NULL, algorithm {text} NOT NULL,
    wrapped {blob} NOT NULL, created_at {int} NOT NULL, PRIMARY KEY (workspace, purpose, number)
){clustered};
CREATE TABLE client (
    workspace {blob} NOT NULL, id {blob} NOT NULL, client_id {text} NOT NULL, epoch {int} NOT NULL, enabled {int} NOT NULL,
    settings {text} NOT NULL, created_at {int} NOT NULL, PRIMARY KEY (workspace, id), UNIQUE (workspace, client_id)
){clustered};
CREATE TABLE client_secret (
    workspace {blob} NOT NULL, client {blob} NOT NULL, digest {blob} NOT NULL, created_at {int} NOT NULL, expires_at {int},
    PRIMARY KEY (workspace, client, digest)
){clustered};
CREATE TABLE resource (
    workspace {blob} NOT NULL, id {blob} NOT NULL, uri {text} NOT NULL, settings {text} NOT NULL, created_at {int} NOT NULL,
    PRIMARY KEY (workspace, id), UNIQUE (workspace, uri)
){clustered};
CREATE TABLE users (
    workspace {blob} NOT NULL, id {blob} NOT NULL, username {text} NOT NULL, username_key {text} NOT NULL, epoch {int} NOT NULL,
    credentials {int} NOT NULL, enabled {int} NOT NULL, admin {int} NOT NULL, password_hash {text}, claims {text} NOT NULL,
    created_at {int} NOT NULL, PRIMARY KEY (workspace, id), UNIQUE (workspace, username_key)
){clustered};
CREATE TABLE password_link (
    workspace {blob} NOT NULL, id {blob} NOT NULL, user_id {blob} NOT NULL, user_epoch {int} NOT NULL, digest {blob} NOT NULL,
    expires_at {int} NOT NULL, used_at {int}, PRIMARY KEY (workspace, id)
){clustered};
CREATE TABLE session (
    workspace {blob} NOT NULL, id {blob} NOT NULL, user_id {blob} NOT NULL, epoch {int} NOT NULL, enabled {int} NOT NULL,
    digest {blob} NOT NULL, lineage {blob} NOT NULL, auth_time {int} NOT NULL, acr {text} NOT NULL, amr {text} NOT NULL,
    created_at {int} NOT NULL, used_at {int} NOT NULL, expires_at {int} NOT NULL, PRIMARY KEY (workspace, id)
){clustered};
CREATE INDEX session_of_user ON session (workspace, user_id);
CREATE TABLE consent (
    workspace {blob} NOT NULL, id {blob} NOT NULL, user_id {blob} NOT NULL, client {blob} NOT NULL, epoch {int} NOT NULL,
    given {text} NOT NULL, created_at {int} NOT NULL, PRIMARY KEY (workspace, id), UNIQUE (workspace, user_id, client)
){clustered};
CREATE TABLE request (
    workspace {blob} NOT NULL, id {blob} NOT NULL, request {text} NOT NULL, expires_at {int} NOT NULL, PRIMARY KEY (workspace, id)
){clustered};
CREATE TABLE grants (
    workspace {blob} NOT NULL, id {blob} NOT NULL, guard {blob} NOT NULL, epoch {int} NOT NULL, client {blob} NOT NULL,
    user_id {blob}, standing {blob}, lineage {blob} NOT NULL, entitlements {text} NOT NULL, facts {text} NOT NULL,
    kills {int} NOT NULL, created_at {int} NOT NULL, expires_at {int}, PRIMARY KEY (workspace, id)
){clustered};
CREATE UNIQUE INDEX grant_standing ON grants (workspace, standing) WHERE standing IS NOT NULL;
CREATE INDEX grant_of_user ON grants (workspace, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX grant_of_client ON grants (workspace, client);
CREATE TABLE killed (
    workspace {blob} NOT NULL, grant_id {blob} NOT NULL, jti {blob} NOT NULL, expires_at {int} NOT NULL,
    PRIMARY KEY (workspace, grant_id, jti)
){clustered};
CREATE INDEX killed_expires ON killed (expires_at);
CREATE TABLE code (
    workspace {blob} NOT NULL, id {blob} NOT NULL, grant_id {blob} NOT NULL, grant_epoch {int} NOT NULL, digest {blob} NOT NULL,
    client {blob} NOT NULL, binding {text} NOT NULL, redeemed_at {int}, expires_at {int} NOT NULL, PRIMARY KEY (workspace, id)
){clustered};
CREATE TABLE chain (
    workspace {blob} NOT NULL, id {blob} NOT NULL, grant_id {blob} NOT NULL, grant_epoch {int} NOT NULL, client {blob} NOT NULL,
    entitlement {int} NOT NULL, generation {int} NOT NULL, current {blob} NOT NULL, previous {blob}, key_number {int} NOT NULL,
    rotated_at {int} NOT NULL, used_at {int} NOT NULL, created_at {int} NOT NULL, expires_at {int} NOT NULL, PRIMARY KEY (workspace, id)
){clustered};
CREATE INDEX chain_of_grant ON chain (workspace, grant_id);
