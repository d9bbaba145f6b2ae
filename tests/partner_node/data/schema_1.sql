CREATE TABLE schema (
	id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_schema PRIMARY KEY (id)
);
CREATE TABLE inbox (
	id VARCHAR NOT NULL, 
	digest BLOB NOT NULL, 
	kind VARCHAR NOT NULL, 
	received VARCHAR NOT NULL, 
	reply_kind VARCHAR NOT NULL, 
	reply_head BLOB NOT NULL, 
	reply_body BLOB NOT NULL, 
	acked BOOLEAN NOT NULL, 
	CONSTRAINT pk_inbox PRIMARY KEY (id)
);
CREATE TABLE outbox (
	number INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	head BLOB NOT NULL, 
	body BLOB NOT NULL, 
	created VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	reply_head BLOB, 
	CONSTRAINT pk_outbox PRIMARY KEY (number), 
	CONSTRAINT ck_outbox_state CHECK (state IN ('OPEN','ANSWERED','REFUSED')), 
	CONSTRAINT uq_outbox_id UNIQUE (id)
);
CREATE TABLE proposal (
	digest VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	body BLOB NOT NULL, 
	received VARCHAR NOT NULL, 
	expires VARCHAR NOT NULL, 
	CONSTRAINT pk_proposal PRIMARY KEY (digest)
);
CREATE TABLE job_end (
	digest VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	reason BLOB NOT NULL, 
	time VARCHAR NOT NULL, 
	CONSTRAINT pk_job_end PRIMARY KEY (digest)
);
CREATE TABLE decision (
	digest VARCHAR NOT NULL, 
	decision VARCHAR NOT NULL, 
	person VARCHAR NOT NULL, 
	time VARCHAR NOT NULL, 
	approval BLOB NOT NULL, 
	CONSTRAINT pk_decision PRIMARY KEY (digest), 
	CONSTRAINT ck_decision_decision CHECK (decision IN ('approve','refuse'))
);
CREATE TABLE peer (
	partner VARCHAR NOT NULL, 
	card BLOB NOT NULL, 
	pinned VARCHAR NOT NULL, 
	CONSTRAINT pk_peer PRIMARY KEY (partner)
);
CREATE TABLE session (
	job VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	step INTEGER NOT NULL, 
	state BLOB NOT NULL, 
	updated VARCHAR NOT NULL, 
	CONSTRAINT pk_session PRIMARY KEY (job)
);
CREATE TABLE sequence (
	job VARCHAR NOT NULL, 
	peer VARCHAR NOT NULL, 
	outward BOOLEAN NOT NULL, 
	next INTEGER NOT NULL, 
	CONSTRAINT pk_sequence PRIMARY KEY (job, peer, outward)
);
CREATE TABLE aligned (
	job VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	token VARCHAR NOT NULL, 
	row_key BLOB NOT NULL, 
	CONSTRAINT pk_aligned PRIMARY KEY (job, position), 
	CONSTRAINT uq_aligned_job UNIQUE (job, token)
);
CREATE TABLE consent (
	client BLOB NOT NULL, 
	purpose VARCHAR NOT NULL, 
	until VARCHAR NOT NULL, 
	withdrawn VARCHAR, 
	CONSTRAINT pk_consent PRIMARY KEY (client, purpose)
);
CREATE TABLE consent_change (
	number INTEGER NOT NULL, 
	time VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	purpose VARCHAR NOT NULL, 
	clients INTEGER NOT NULL, 
	CONSTRAINT pk_consent_change PRIMARY KEY (number)
);
CREATE TABLE answer (
	number INTEGER NOT NULL, 
	time VARCHAR NOT NULL, 
	job VARCHAR NOT NULL, 
	purpose VARCHAR NOT NULL, 
	asset VARCHAR NOT NULL, 
	columns VARCHAR NOT NULL, 
	outcome VARCHAR NOT NULL, 
	CONSTRAINT pk_answer PRIMARY KEY (number)
);
CREATE TABLE score_vector (
	run VARCHAR NOT NULL, 
	asset VARCHAR NOT NULL, 
	columns BLOB NOT NULL, 
	label_holder VARCHAR NOT NULL, 
	count INTEGER NOT NULL, 
	time VARCHAR NOT NULL, 
	CONSTRAINT pk_score_vector PRIMARY KEY (run)
);
CREATE TABLE receipt (
	digest VARCHAR NOT NULL, 
	document BLOB NOT NULL, 
	received VARCHAR NOT NULL, 
	CONSTRAINT pk_receipt PRIMARY KEY (digest)
);
CREATE TABLE cosigned (
	log VARCHAR NOT NULL, 
	size INTEGER NOT NULL, 
	root VARCHAR NOT NULL, 
	note VARCHAR NOT NULL, 
	cosignature BLOB NOT NULL, 
	time VARCHAR NOT NULL, 
	CONSTRAINT pk_cosigned PRIMARY KEY (log, size)
);
CREATE TABLE result (
	job VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	document BLOB NOT NULL, 
	file VARCHAR, 
	time VARCHAR NOT NULL, 
	CONSTRAINT pk_result PRIMARY KEY (job)
);
CREATE TABLE settlement_report (
	number INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	agreement VARCHAR NOT NULL, 
	period VARCHAR NOT NULL, 
	document BLOB NOT NULL, 
	time VARCHAR NOT NULL, 
	CONSTRAINT pk_settlement_report PRIMARY KEY (number), 
	CONSTRAINT ck_settlement_report_kind CHECK (kind IN ('referrals','events')), 
	CONSTRAINT uq_settlement_report_digest UNIQUE (digest)
);
CREATE INDEX ix_settlement_report_agreement ON settlement_report (agreement);
CREATE TABLE statement (
	id VARCHAR NOT NULL, 
	agreement VARCHAR NOT NULL, 
	period VARCHAR NOT NULL, 
	sequence INTEGER NOT NULL, 
	anchor VARCHAR NOT NULL, 
	body BLOB NOT NULL, 
	lines BLOB NOT NULL, 
	verdict VARCHAR NOT NULL, 
	differences BLOB NOT NULL, 
	decision VARCHAR NOT NULL, 
	person VARCHAR NOT NULL, 
	decided VARCHAR NOT NULL, 
	document BLOB, 
	state VARCHAR NOT NULL, 
	transactions BLOB NOT NULL, 
	received VARCHAR NOT NULL, 
	CONSTRAINT pk_statement PRIMARY KEY (id), 
	CONSTRAINT ck_statement_verdict CHECK (verdict IN ('matches','differs')), 
	CONSTRAINT ck_statement_decision CHECK (decision IN ('','confirmed','disputed'))
);
CREATE INDEX ix_statement_agreement ON statement (agreement);
