CREATE INDEX approvals_of_change ON approval (project_id, change, head_sha) WHERE kind = 'merge';
CREATE INDEX approvals_of_issue ON approval (project_id, issue, created_at);
CREATE INDEX approvals_of_project ON approval (project_id, created_at, id);
CREATE INDEX approvals_of_run ON approval (run_id, created_at, id);
CREATE INDEX audit_by_deed ON audit (deed, id);
CREATE INDEX audit_by_object ON audit (object, id);
CREATE INDEX begun_runs ON runs (project_id, created_at) WHERE released_at IS NULL AND status NOT IN ('delayed', 'queued');
CREATE INDEX charged_batches ON batches (created_by, created_at);
CREATE INDEX charged_runs ON runs (charged_to, created_at);
CREATE INDEX closed_changes ON change_request (project_id, ended_at) WHERE state = 'closed';
CREATE INDEX comments_of_change ON change_comment (project_id, number, id);
CREATE INDEX comments_of_issue ON issue_comment (project_id, number, id);
CREATE INDEX days_of_all ON project_day (day);
CREATE INDEX delayed_runs ON runs (status, due_at, batch_id) WHERE status = 'delayed';
CREATE INDEX ended_runs ON runs (ended_at);
CREATE INDEX events_of_run ON run_events (run_id, id);
CREATE INDEX expiring_runs ON runs (status, expires_at) WHERE released_at IS NULL AND status = 'queued' AND expires_at IS NOT NULL;
CREATE INDEX forge_comments_of_change ON forge_comment (project_id, number);
CREATE INDEX held_projects ON project (id) WHERE state <> 'ready' OR unreachable;
CREATE INDEX held_runs_of_project ON runs (project_id, created_at, id) WHERE status IN ('delayed', 'queued') AND hold IS NOT NULL;
CREATE INDEX ix_device_person_id ON device (person_id);
CREATE INDEX ix_login_link_expires_at ON login_link (expires_at);
CREATE INDEX ix_membership_organisation_id ON membership (organisation_id);
CREATE INDEX ix_oidc_start_address ON oidc_start (address);
CREATE INDEX ix_oidc_start_expires_at ON oidc_start (expires_at);
CREATE INDEX ix_project_organisation_id ON project (organisation_id);
CREATE INDEX ix_project_role_project_id ON project_role (project_id);
CREATE INDEX ix_session_person_id ON session (person_id);
CREATE INDEX looped_projects ON project (id) WHERE auto_enabled AND archived_at IS NULL;
CREATE INDEX newest_approvals ON approval (created_at, id);
CREATE INDEX newest_approvals_by_state ON approval (state, created_at, id);
CREATE INDEX newest_batches ON batches (created_at, id);
CREATE INDEX newest_batches_of_project ON batches (project_id, created_at, id);
CREATE INDEX newest_runs ON runs (created_at, id);
CREATE INDEX newest_runs_by_status ON runs (status, created_at, id);
CREATE INDEX newest_runs_by_trigger_and_status ON runs ("trigger", status, created_at, id);
CREATE INDEX newest_runs_for_issue ON runs (issue, created_at, id) WHERE issue IS NOT NULL;
CREATE INDEX newest_runs_from_branch ON runs (branch_name, created_at, id);
CREATE INDEX newest_runs_of_project ON runs (project_id, created_at, id);
CREATE INDEX newest_runs_of_project_by_status ON runs (project_id, status, created_at, id);
CREATE INDEX newest_runs_of_project_by_trigger ON runs (project_id, "trigger", status, created_at, id);
CREATE INDEX newest_runs_of_project_from_branch ON runs (project_id, branch_name, status, created_at, id);
CREATE INDEX newest_runs_of_project_on_branch ON runs (project_id, work_branch, status, created_at, id);
CREATE INDEX newest_runs_on_branch ON runs (work_branch, created_at, id);
CREATE UNIQUE INDEX one_approval_of_start ON approval (run_id) WHERE kind = 'start';
CREATE UNIQUE INDEX one_choice_for_all ON subscription (person_id) WHERE project_id IS NULL;
CREATE UNIQUE INDEX one_open_change_per_branch ON change_request (project_id, branch) WHERE state = 'open';
CREATE UNIQUE INDEX one_open_revert_per_change ON change_request (project_id, reverts) WHERE state = 'open' AND reverts IS NOT NULL;
CREATE UNIQUE INDEX one_open_run_per_branch ON runs (project_id, work_branch) WHERE released_at IS NULL;
CREATE UNIQUE INDEX one_pending_approval_of_merge ON approval (project_id, change) WHERE kind = 'merge' AND state = 'pending';
CREATE INDEX open_forge_issues ON forge_issue (project_id, number) WHERE state = 'open';
CREATE INDEX open_issues ON issue (project_id, number) WHERE state = 'open';
CREATE INDEX open_runs_of_project_by_task ON runs (project_id, coalesce(substr(task, 1, 60), '')) WHERE released_at IS NULL AND issue IS NULL;
CREATE INDEX open_runs_of_project_for_issue ON runs (project_id, issue) WHERE released_at IS NULL AND issue IS NOT NULL;
CREATE INDEX parked_runs ON runs (project_id, created_at) WHERE parked;
CREATE INDEX pending_approvals ON approval (expires_at, project_id) WHERE state = 'pending';
CREATE INDEX pending_notifications ON notification (receiver, due_at) WHERE state = 'pending';
CREATE UNIQUE INDEX person_by_email ON person (email);
CREATE UNIQUE INDEX person_by_subject ON person (oidc_subject);
CREATE INDEX queued_runs ON runs (status, created_at, id, project_id, agent, model, "trigger", due_at) WHERE released_at IS NULL AND batch_id IS NULL AND status = 'queued' AND NOT awaits_approval;
CREATE INDEX queued_runs_by_hold ON runs (status, hold, project_id) WHERE released_at IS NULL AND batch_id IS NULL AND status = 'queued' AND NOT awaits_approval;
CREATE INDEX resumable_runs ON runs (ended_at) WHERE may_resume;
CREATE INDEX runs_by_cost ON runs (cost_usd, id) WHERE cost_usd IS NOT NULL;
CREATE INDEX runs_by_ending ON runs (substr(id, length(id) - 5));
CREATE INDEX runs_of_batch ON runs (batch_id, status) WHERE batch_id IS NOT NULL;
CREATE INDEX runs_of_project_asked_for_now ON runs (project_id, status, batch_id, due_at) WHERE released_at IS NULL AND status IN ('delayed', 'queued') AND batch_id IS NULL AND due_at IS NULL;
CREATE INDEX runs_of_project_by_cost ON runs (project_id, cost_usd, id) WHERE cost_usd IS NOT NULL;
CREATE INDEX runs_to_announce ON runs (status, id) WHERE announce;
CREATE UNIQUE INDEX session_by_id ON session (id);
CREATE INDEX striking_runs ON runs (project_id, ended_at) WHERE is_strike;
CREATE INDEX tokens_of_person ON token (person_id, id);
CREATE INDEX unapproved_runs ON runs (project_id, "trigger", released_at) WHERE awaits_approval;
CREATE INDEX unfinished_batches ON batches (created_at) WHERE ended_at IS NULL;
CREATE INDEX unfinished_bulk ON bulk (created_at) WHERE ended_at IS NULL;
CREATE INDEX unsent_comments ON change_comment (project_id, number) WHERE round IS NULL;
CREATE INDEX waiting_runs_of_project_by_agent ON runs (project_id, agent) WHERE status IN ('delayed', 'queued');
CREATE TABLE account_hold (
	agent VARCHAR NOT NULL, 
	account VARCHAR NOT NULL, 
	family VARCHAR NOT NULL, 
	since DATETIME NOT NULL, 
	until DATETIME, 
	evidence TEXT NOT NULL, 
	run_id VARCHAR NOT NULL, 
	hits INTEGER NOT NULL, 
	probe_run_id VARCHAR, 
	next_at DATETIME, 
	PRIMARY KEY (agent, account, family), 
	CONSTRAINT hold_hits CHECK (hits >= 1)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE applied (
	"key" VARCHAR NOT NULL, 
	sentence VARCHAR, 
	PRIMARY KEY ("key")
);
CREATE TABLE approval (
	id VARCHAR NOT NULL, 
	project_id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	run_id VARCHAR, 
	"trigger" VARCHAR, 
	issue INTEGER, 
	change INTEGER, 
	head_sha VARCHAR, 
	asked_by VARCHAR, 
	answers JSON NOT NULL, 
	because TEXT, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (id), 
	CONSTRAINT approval_kind CHECK (kind IN ('start', 'merge')), 
	CONSTRAINT approval_state CHECK (state IN ('pending', 'approved', 'rejected', 'expired', 'withdrawn')), 
	CONSTRAINT approval_until_ended CHECK ((state = 'pending') = (ended_at IS NULL)), 
	CONSTRAINT approval_of_one_thing CHECK ((kind = 'start') = (change IS NULL)), 
	CONSTRAINT approval_of_a_run CHECK (kind = 'merge' OR run_id IS NOT NULL), 
	CONSTRAINT approval_of_a_commit CHECK (kind = 'start' OR head_sha IS NOT NULL), 
	FOREIGN KEY(project_id) REFERENCES project (id)
);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	person VARCHAR, 
	role VARCHAR, 
	via VARCHAR NOT NULL, 
	token VARCHAR, 
	address VARCHAR, 
	deed VARCHAR NOT NULL, 
	object VARCHAR NOT NULL, 
	"before" JSON, 
	"after" JSON, 
	correlation_id VARCHAR NOT NULL, 
	previous VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, organisation VARCHAR, 
	PRIMARY KEY (id)
);
CREATE TABLE batch_items (
	batch_id VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	PRIMARY KEY (batch_id, position), 
	CONSTRAINT item_of_batch FOREIGN KEY(batch_id) REFERENCES batches (id), 
	CONSTRAINT run_of_item FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT one_item_per_run UNIQUE (run_id)
);
CREATE TABLE batches (
	id VARCHAR NOT NULL, 
	project_id VARCHAR NOT NULL, 
	run_count INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	because VARCHAR, 
	idempotency_key VARCHAR, 
	body_hash VARCHAR NOT NULL, 
	parent_run_id VARCHAR, 
	correlation_id VARCHAR NOT NULL, 
	created_by VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	sealed_at DATETIME, 
	ended_at DATETIME, 
	PRIMARY KEY (id), 
	CONSTRAINT batch_status CHECK (status IN ('pending', 'processing', 'completed', 'partly_failed', 'aborted')), 
	CONSTRAINT batch_size CHECK (run_count BETWEEN 1 AND 1000), 
	CONSTRAINT one_batch_per_key UNIQUE (project_id, idempotency_key)
);
CREATE TABLE bulk (
	id VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	wanted JSON NOT NULL, 
	status VARCHAR NOT NULL, 
	hold VARCHAR, 
	correlation_id VARCHAR NOT NULL, 
	created_by VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (id), 
	CONSTRAINT bulk_action CHECK (action IN ('stop', 'retry')), 
	CONSTRAINT bulk_status CHECK (status IN ('processing', 'completed', 'aborted'))
);
CREATE TABLE bulk_items (
	bulk_id VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	because VARCHAR, 
	new_run_id VARCHAR, 
	PRIMARY KEY (bulk_id, position), 
	CONSTRAINT bulk_item_state CHECK (state IN ('pending', 'done', 'refused', 'left')), 
	CONSTRAINT item_of_bulk FOREIGN KEY(bulk_id) REFERENCES bulk (id)
);
CREATE TABLE change_comment (
	id INTEGER NOT NULL, 
	project_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	person_id VARCHAR NOT NULL, 
	author VARCHAR NOT NULL, 
	file VARCHAR, 
	line INTEGER, 
	side VARCHAR NOT NULL, 
	sha VARCHAR NOT NULL, 
	text TEXT NOT NULL, 
	round INTEGER, 
	run_id VARCHAR, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT comment_side CHECK (side IN ('old', 'new')), 
	CONSTRAINT line_of_file CHECK ((line IS NULL) OR (file IS NOT NULL)), 
	CONSTRAINT comment_of_change FOREIGN KEY(project_id, number) REFERENCES change_request (project_id, number)
);
CREATE TABLE change_request (
	project_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	run_id VARCHAR, 
	title VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	base VARCHAR NOT NULL, 
	branch VARCHAR NOT NULL, 
	base_sha VARCHAR NOT NULL, 
	head_sha VARCHAR NOT NULL, 
	commits INTEGER NOT NULL, 
	files_changed INTEGER NOT NULL, 
	additions INTEGER NOT NULL, 
	deletions INTEGER NOT NULL, 
	closes INTEGER, 
	state VARCHAR NOT NULL, 
	merged_sha VARCHAR, 
	created_at DATETIME NOT NULL, 
	ended_at DATETIME, closed_because TEXT, draft BOOLEAN DEFAULT 0 NOT NULL, issue_after VARCHAR, conflicts_seen JSON, conflicts_base VARCHAR, conflicts_head VARCHAR, autoland_note TEXT, autoland_seen VARCHAR, landing TEXT, reverts INTEGER, url VARCHAR, ci_seen JSON, reviews_waiting INTEGER DEFAULT '0' NOT NULL, merge_waits VARCHAR, merge_head VARCHAR, merge_note TEXT, 
	PRIMARY KEY (project_id, number), 
	CONSTRAINT change_state CHECK (state IN ('open', 'merged', 'closed')), 
	FOREIGN KEY(project_id) REFERENCES project (id), 
	CONSTRAINT one_change_per_run UNIQUE (run_id)
);
CREATE TABLE check_result (
	run_id VARCHAR NOT NULL, 
	round INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	required BOOLEAN NOT NULL, 
	status VARCHAR NOT NULL, 
	sha VARCHAR NOT NULL, 
	exit_code INTEGER, 
	because VARCHAR, 
	changed_files JSON NOT NULL, 
	log_from BIGINT, 
	log_to BIGINT, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (run_id, round, position), 
	CONSTRAINT check_status CHECK (status IN ('running', 'passed', 'failed', 'error', 'timed_out', 'stopped')), 
	CONSTRAINT check_runs_until_ended CHECK ((status = 'running') = (ended_at IS NULL)), 
	CONSTRAINT check_of_run FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE TABLE device (
	id VARCHAR NOT NULL, 
	person_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	endpoint TEXT NOT NULL, 
	p256dh VARCHAR NOT NULL, 
	auth VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	failed_at DATETIME, 
	because TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(person_id) REFERENCES person (id), 
	UNIQUE (endpoint)
);
CREATE TABLE forge (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	url VARCHAR NOT NULL, 
	token TEXT NOT NULL, 
	version VARCHAR NOT NULL, 
	acts_as VARCHAR NOT NULL, 
	may JSON NOT NULL, 
	missing JSON NOT NULL, 
	needs_attention TEXT, 
	created_at DATETIME NOT NULL, 
	checked_at DATETIME NOT NULL, hook_secret TEXT, app_id VARCHAR, organisation_id VARCHAR DEFAULT 'org_000000000000000000000000' NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT forge_kind CHECK (kind IN ('forgejo', 'gitea', 'github')), 
	UNIQUE (name), 
	UNIQUE (url)
);
CREATE TABLE forge_comment (
	project_id VARCHAR NOT NULL, 
	place VARCHAR NOT NULL, 
	comment_id BIGINT NOT NULL, 
	number INTEGER NOT NULL, 
	file TEXT, 
	line INTEGER, 
	side VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	run_id VARCHAR, 
	answered BOOLEAN NOT NULL, 
	taken_at DATETIME NOT NULL, 
	PRIMARY KEY (project_id, place, comment_id), 
	CONSTRAINT forge_comment_place CHECK (place IN ('talk', 'review', 'line')), 
	CONSTRAINT forge_comment_of_change FOREIGN KEY(project_id, number) REFERENCES change_request (project_id, number)
);
CREATE TABLE forge_issue (
	project_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	title VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	labels JSON NOT NULL, 
	state VARCHAR NOT NULL, 
	priority VARCHAR NOT NULL, 
	url TEXT, 
	assignees JSON NOT NULL, 
	milestone VARCHAR NOT NULL, 
	dependencies JSON NOT NULL, 
	blocked_elsewhere JSON NOT NULL, 
	stranger VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	closed_at DATETIME, 
	PRIMARY KEY (project_id, number), 
	CONSTRAINT forge_issue_state CHECK (state IN ('open', 'closed')), 
	CONSTRAINT forge_issue_priority CHECK (priority IN ('urgent', 'high', 'normal', 'low')), 
	FOREIGN KEY(project_id) REFERENCES project (id)
);
CREATE TABLE forge_listing (
	project_id VARCHAR NOT NULL, 
	whole_at DATETIME, 
	read_at DATETIME, 
	newest_at DATETIME, 
	silent_since DATETIME, 
	silent_because TEXT, 
	PRIMARY KEY (project_id), 
	FOREIGN KEY(project_id) REFERENCES project (id)
);
CREATE TABLE issue (
	project_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	title VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	labels JSON NOT NULL, 
	state VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	closed_at DATETIME, priority VARCHAR DEFAULT 'normal' NOT NULL CONSTRAINT issue_priority CHECK (priority IN ('urgent', 'high', 'normal', 'low')), rank INTEGER, 
	PRIMARY KEY (project_id, number), 
	CONSTRAINT issue_state CHECK (state IN ('open', 'closed')), 
	FOREIGN KEY(project_id) REFERENCES project (id)
);
CREATE TABLE issue_comment (
	id INTEGER NOT NULL, 
	project_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	author VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	created_at DATETIME NOT NULL, run_id VARCHAR, 
	PRIMARY KEY (id), 
	CONSTRAINT comment_of_issue FOREIGN KEY(project_id, number) REFERENCES issue (project_id, number)
);
CREATE TABLE issue_text (
	project_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	event INTEGER NOT NULL, 
	labelled_by VARCHAR NOT NULL, 
	may_label BOOLEAN NOT NULL, 
	title VARCHAR, 
	body TEXT, 
	sha256 VARCHAR, 
	edited_by VARCHAR, 
	seen_sha256 VARCHAR NOT NULL, 
	updated_at DATETIME, 
	approved_sha256 VARCHAR, 
	ticked JSON NOT NULL, 
	PRIMARY KEY (project_id, number), 
	FOREIGN KEY(project_id) REFERENCES project (id)
);
CREATE TABLE lease (
	name VARCHAR NOT NULL, 
	holder VARCHAR NOT NULL, 
	fence INTEGER NOT NULL, 
	expires_at DATETIME NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE login_link (
	token_hash VARCHAR NOT NULL, 
	person_id VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	used_at DATETIME, sets_password BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (token_hash), 
	FOREIGN KEY(person_id) REFERENCES person (id)
);
CREATE TABLE membership (
	person_id VARCHAR NOT NULL, 
	organisation_id VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	PRIMARY KEY (person_id), 
	CONSTRAINT membership_role CHECK (role IN ('viewer', 'user', 'operator', 'admin')), 
	FOREIGN KEY(person_id) REFERENCES person (id), 
	FOREIGN KEY(organisation_id) REFERENCES organisation (id)
);
CREATE TABLE "notification" (
	id VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	receiver VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	about JSON NOT NULL, 
	state VARCHAR NOT NULL, 
	digest_id VARCHAR, 
	because VARCHAR, 
	attempts INTEGER NOT NULL, 
	claimed_by VARCHAR, 
	created_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	claimed_until DATETIME, 
	tried_at DATETIME, 
	ended_at DATETIME, 
	PRIMARY KEY (id), 
	CONSTRAINT notification_kind CHECK (kind IN ('paused', 'delivered', 'failed', 'needs_you', 'digest')), 
	CONSTRAINT notification_state CHECK (state IN ('pending', 'sent', 'dropped')), 
	CONSTRAINT pending_until_ended CHECK ((state = 'pending') = (ended_at IS NULL)), 
	CONSTRAINT told_once UNIQUE ("key", receiver)
);
CREATE TABLE oidc_start (
	id VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	nonce VARCHAR NOT NULL, 
	verifier VARCHAR NOT NULL, 
	wanted TEXT NOT NULL, 
	is_again BOOLEAN NOT NULL, 
	address VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE organisation (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, run_quotas JSON DEFAULT '{}' NOT NULL, batch_quotas JSON DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	data JSON NOT NULL, 
	at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
CREATE TABLE person (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, full_name VARCHAR, email VARCHAR, password_hash TEXT, totp_secret TEXT, totp_since DATETIME, totp_step INTEGER, recovery_hashes JSON DEFAULT '[]' NOT NULL, oidc_subject VARCHAR, disabled_at DATETIME, is_of_groups BOOLEAN DEFAULT 0 NOT NULL, lapsed_at DATETIME, look VARCHAR, time_zone VARCHAR, agents JSON DEFAULT '[]' NOT NULL, run_quota INTEGER, batch_quota INTEGER, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE project (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	origin VARCHAR NOT NULL, 
	base_branch VARCHAR NOT NULL, 
	tracker VARCHAR NOT NULL, 
	agent VARCHAR NOT NULL, 
	agent_command JSON, 
	setup_command JSON, 
	prompt TEXT, 
	budget_seconds INTEGER NOT NULL, 
	stall_seconds INTEGER, 
	max_concurrency INTEGER NOT NULL, 
	open_pr VARCHAR NOT NULL, 
	branch_pattern VARCHAR NOT NULL, 
	frameworks JSON NOT NULL, 
	sandbox VARCHAR NOT NULL, 
	auto_enabled BOOLEAN NOT NULL, 
	state VARCHAR NOT NULL, 
	state_because VARCHAR, 
	strikes INTEGER NOT NULL, 
	known_branches JSON NOT NULL, 
	next_number INTEGER NOT NULL, 
	archived_at DATETIME, 
	created_at DATETIME NOT NULL, paused_because VARCHAR, resume_after_limit BOOLEAN DEFAULT 1 NOT NULL, origin_because TEXT, origin_since DATETIME, unreachable BOOLEAN DEFAULT 0 NOT NULL, sandbox_chosen BOOLEAN DEFAULT 0 NOT NULL, sandbox_notice BOOLEAN DEFAULT 0 NOT NULL, network VARCHAR DEFAULT 'all' NOT NULL, allowed_hosts JSON DEFAULT '[]' NOT NULL, allow JSON DEFAULT '[]' NOT NULL, toolchains JSON DEFAULT '[]' NOT NULL, limits JSON DEFAULT '{}' NOT NULL, owner_hooks VARCHAR, checks JSON DEFAULT '[]' NOT NULL, check_rounds INTEGER DEFAULT '2' NOT NULL, on_red VARCHAR DEFAULT 'park' NOT NULL, checks_error TEXT, suggested_checks JSON, checks_answered BOOLEAN DEFAULT 0 NOT NULL, prompt_version INTEGER DEFAULT '1' NOT NULL, instructions TEXT, default_template VARCHAR, checks_changed_at DATETIME, tags JSON DEFAULT '[]' NOT NULL, model VARCHAR, autoland JSON DEFAULT '{}' NOT NULL, forge_id VARCHAR, repository VARCHAR, trusted_commit VARCHAR, judged_commit VARCHAR, trust_hold TEXT, forge_hold TEXT, tell_claims BOOLEAN DEFAULT 1 NOT NULL, claim_label VARCHAR DEFAULT 'agent-working', ci_rounds INTEGER DEFAULT '0' NOT NULL, review_rounds INTEGER DEFAULT '5' NOT NULL, merge_style VARCHAR DEFAULT 'merge' NOT NULL, organisation_id VARCHAR DEFAULT 'org_000000000000000000000000' NOT NULL, approve_start BOOLEAN DEFAULT 0 NOT NULL, approve_merge INTEGER DEFAULT '0' NOT NULL, approval_days INTEGER DEFAULT '7' NOT NULL, pr_sign_in VARCHAR, pr_login VARCHAR, allowed_agents JSON DEFAULT '[]' NOT NULL, agent_token BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT project_state CHECK (state IN ('cloning', 'ready', 'broken')), 
	CONSTRAINT project_budget CHECK (budget_seconds >= 1), 
	CONSTRAINT project_strikes CHECK (strikes >= 0), 
	UNIQUE (name)
);
CREATE TABLE project_day (
	project_id VARCHAR NOT NULL, 
	day DATE NOT NULL, 
	succeeded INTEGER NOT NULL, 
	died INTEGER NOT NULL, 
	timed_out INTEGER NOT NULL, 
	limited INTEGER NOT NULL, 
	stopped INTEGER NOT NULL, 
	not_started INTEGER NOT NULL, 
	expired INTEGER NOT NULL, 
	began INTEGER NOT NULL, 
	told_tokens INTEGER NOT NULL, 
	told_cost INTEGER NOT NULL, 
	worked_ms BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	cost_micros BIGINT NOT NULL, 
	PRIMARY KEY (project_id, day)
);
CREATE TABLE project_role (
	person_id VARCHAR NOT NULL, 
	project_id VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	PRIMARY KEY (person_id, project_id), 
	CONSTRAINT project_role_word CHECK (role IN ('viewer', 'user', 'operator', 'admin')), 
	FOREIGN KEY(person_id) REFERENCES person (id), 
	FOREIGN KEY(project_id) REFERENCES project (id)
);
CREATE TABLE quarantine (
	"key" VARCHAR NOT NULL, 
	duty VARCHAR NOT NULL, 
	project_id VARCHAR, 
	run_id VARCHAR, 
	tries INTEGER NOT NULL, 
	because TEXT NOT NULL, 
	version VARCHAR NOT NULL, 
	first_at DATETIME NOT NULL, 
	last_at DATETIME NOT NULL, 
	held_at DATETIME, 
	PRIMARY KEY ("key"), 
	CONSTRAINT tried_at_least_once CHECK (tries >= 1)
);
CREATE TABLE read_item (
	person_id VARCHAR NOT NULL, 
	item_id VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	PRIMARY KEY (person_id, item_id), 
	FOREIGN KEY(person_id) REFERENCES person (id)
);
CREATE TABLE run_events (
	id INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	kind VARCHAR NOT NULL, 
	sentence VARCHAR NOT NULL, 
	data JSON NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT event_of_run FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE TABLE run_prompt (
	run_id VARCHAR NOT NULL, 
	n INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	template VARCHAR, 
	version INTEGER, 
	at DATETIME NOT NULL, 
	PRIMARY KEY (run_id, n), 
	CONSTRAINT prompt_of_run FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE TABLE run_token (
	run_id VARCHAR NOT NULL, 
	project_id VARCHAR NOT NULL, 
	issue INTEGER NOT NULL, 
	token_hash VARCHAR NOT NULL, 
	sealed TEXT NOT NULL, 
	comments INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (run_id), 
	UNIQUE (token_hash)
);
CREATE TABLE runs (
	id VARCHAR NOT NULL, 
	project_id VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	cause VARCHAR, 
	because VARCHAR, 
	"trigger" VARCHAR NOT NULL, 
	title VARCHAR NOT NULL, 
	depth_level VARCHAR NOT NULL, 
	target_framework VARCHAR NOT NULL, 
	branch_name VARCHAR NOT NULL, 
	work_branch VARCHAR NOT NULL, 
	base_sha VARCHAR, 
	head_sha VARCHAR, 
	issue INTEGER, 
	pr_number INTEGER, 
	task TEXT, 
	agent VARCHAR NOT NULL, 
	model VARCHAR, 
	delivers VARCHAR NOT NULL, 
	tags JSON NOT NULL, 
	budget_seconds INTEGER NOT NULL, 
	idempotency_key VARCHAR, 
	body_hash VARCHAR NOT NULL, 
	retry_of VARCHAR, 
	retried_by VARCHAR, 
	batch_id VARCHAR, 
	correlation_id VARCHAR NOT NULL, 
	created_by VARCHAR NOT NULL, 
	charged_to VARCHAR, 
	provenance JSON NOT NULL, 
	hold VARCHAR, 
	created_at DATETIME NOT NULL, 
	due_at DATETIME, 
	expires_at DATETIME, 
	taken_at DATETIME, 
	started_at DATETIME, 
	deadline DATETIME, 
	ended_at DATETIME, 
	released_at DATETIME, 
	exit_code INTEGER, 
	exit_signal INTEGER, 
	pid INTEGER, 
	host VARCHAR, 
	instance VARCHAR, 
	server VARCHAR, 
	delivery JSON, 
	parked BOOLEAN NOT NULL, 
	input_tokens INTEGER, 
	output_tokens INTEGER, 
	cost_usd FLOAT, is_strike BOOLEAN DEFAULT 0 NOT NULL, session_id VARCHAR, resumes INTEGER DEFAULT '0' NOT NULL, may_resume BOOLEAN DEFAULT 0 NOT NULL, retries JSON DEFAULT '[]' NOT NULL, supervisor JSON, turn INTEGER DEFAULT '1' NOT NULL, check_round INTEGER DEFAULT '0' NOT NULL, checks JSON, review JSON, merging JSON, announce BOOLEAN DEFAULT 0 NOT NULL, announced JSON, awaits_approval BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT run_delivers CHECK (delivers IN ('change', 'report')), 
	CONSTRAINT run_depth CHECK (depth_level IN ('quick', 'standard', 'deep')), 
	CONSTRAINT run_status CHECK (status IN ('delayed', 'queued', 'starting', 'running', 'checking', 'delivering', 'succeeded', 'died', 'timed_out', 'limited', 'stopped', 'not_started', 'expired')), 
	CONSTRAINT run_trigger CHECK (trigger IN ('manual', 'auto', 'retry', 'resume', 'batch', 'api', 'review')), 
	CONSTRAINT released_once_ended CHECK (released_at IS NULL OR ended_at IS NOT NULL), 
	CONSTRAINT one_run_per_key UNIQUE (project_id, idempotency_key)
);
CREATE TABLE session (
	cookie_hash VARCHAR NOT NULL, 
	person_id VARCHAR NOT NULL, 
	csrf VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, id VARCHAR DEFAULT '' NOT NULL, proved_at DATETIME DEFAULT '1970-01-01 00:00:00+00:00' NOT NULL, used_at DATETIME DEFAULT '1970-01-01 00:00:00+00:00' NOT NULL, address VARCHAR, browser VARCHAR, 
	PRIMARY KEY (cookie_hash), 
	FOREIGN KEY(person_id) REFERENCES person (id)
);
CREATE TABLE setting (
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE subscription (
	id INTEGER NOT NULL, 
	person_id VARCHAR NOT NULL, 
	project_id VARCHAR, 
	kinds JSON NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(person_id) REFERENCES person (id), 
	FOREIGN KEY(project_id) REFERENCES project (id), 
	CONSTRAINT one_choice_per_project UNIQUE (person_id, project_id)
);
CREATE TABLE template (
	project_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	created_by VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	removed_at DATETIME, 
	PRIMARY KEY (project_id, name, version), 
	CONSTRAINT template_version CHECK (version >= 1), 
	FOREIGN KEY(project_id) REFERENCES project (id)
);
CREATE TABLE token (
	id VARCHAR NOT NULL, 
	person_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	token_hash VARCHAR NOT NULL, 
	scopes JSON NOT NULL, 
	projects JSON, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	last_used_at DATETIME, 
	revoked_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(person_id) REFERENCES person (id), 
	UNIQUE (token_hash)
);
CREATE TABLE viewed_file (
	person_id VARCHAR NOT NULL, 
	project_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	path VARCHAR NOT NULL, 
	blob VARCHAR NOT NULL, 
	PRIMARY KEY (person_id, project_id, number, path), 
	FOREIGN KEY(person_id) REFERENCES person (id), 
	CONSTRAINT viewed_of_change FOREIGN KEY(project_id, number) REFERENCES change_request (project_id, number)
);
CREATE TABLE visit (
	person_id VARCHAR NOT NULL, 
	since DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	PRIMARY KEY (person_id), 
	FOREIGN KEY(person_id) REFERENCES person (id)
);
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit WHEN OLD.at >= datetime('now', '-30 days') BEGIN SELECT RAISE(ABORT, 'the audit is kept'); END;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END;
