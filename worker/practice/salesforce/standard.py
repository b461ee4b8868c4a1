"""
The objects every practice org has, as tables of field lines (``schema.parse_field`` says how a line reads).

Names, types and lengths are Salesforce's own. Computed fields (roll-ups on Campaign, the person's details on
CampaignMember) are SQL read when asked for, because in Salesforce too they change without moving a stamp. Left out are
features an org may or may not have: person accounts, several currencies, territories, products.
"""

from dataclasses import replace

from worker.practice.salesforce.schema import Field, SObject, parse_field

AUDIT = """
CreatedDate datetime auto ro | Created Date
CreatedById reference(User) auto ro rel=CreatedBy | Created By ID
LastModifiedDate datetime auto ro | Last Modified Date
LastModifiedById reference(User) auto ro rel=LastModifiedBy | Last Modified By ID
SystemModstamp datetime auto ro | System Modstamp
"""
VIEWED = """
LastActivityDate date ro | Last Activity
LastViewedDate datetime ro | Last Viewed Date
LastReferencedDate datetime ro | Last Referenced Date
"""
ID = "Id id lookup | Record ID"
DELETED = "IsDeleted boolean ro | Deleted"


def _address(prefix: str, label: str) -> str:
    part = f"part={prefix}Address"
    return f"""
{prefix}Street textarea(255) extra=plaintextarea {part} | {label} Street
{prefix}City string(40) {part} | {label} City
{prefix}State string(80) {part} | {label} State/Province
{prefix}PostalCode string(20) {part} | {label} Zip/Postal Code
{prefix}Country string(80) {part} | {label} Country
{prefix}Latitude double(18,15) {part} | {label} Latitude
{prefix}Longitude double(18,15) {part} | {label} Longitude
{prefix}GeocodeAccuracy picklist(40) restricted {part} | {label} Geocode Accuracy
{prefix}Address address | {label} Address
"""


ACCOUNT = f"""
MasterRecordId reference(Account) ro rel=MasterRecord | Master Record ID
Name string(255) req name extra=switchablepersonname | Account Name
Type picklist(40) | Account Type
RecordTypeId reference(RecordType) | Record Type ID
ParentId reference(Account) rel=Parent children=ChildAccounts | Parent Account ID
{_address("Billing", "Billing")}
{_address("Shipping", "Shipping")}
Phone phone(40) | Account Phone
Fax phone(40) | Account Fax
AccountNumber string(40) | Account Number
Website url(255) | Website
PhotoUrl url(255) ro extra=imageurl | Photo URL
Sic string(20) | SIC Code
Industry picklist(40) | Industry
AnnualRevenue currency(18,0) | Annual Revenue
NumberOfEmployees int | Employees
Ownership picklist(40) | Ownership
TickerSymbol string(20) | Ticker Symbol
Description textarea(32000) extra=plaintextarea | Account Description
Rating picklist(40) | Account Rating
Site string(80) | Account Site
OwnerId reference(User) auto rel=Owner | Owner ID
{AUDIT}{VIEWED}
IsPartner boolean nocreate | Partner Account
Jigsaw string(20) | Data.com Key
JigsawCompanyId string(20) ro | Jigsaw Company ID
CleanStatus picklist(40) restricted | Clean Status
AccountSource picklist(40) | Account Source
DunsNumber string(9) | D-U-N-S Number
Tradestyle string(255) | Tradestyle
NaicsCode string(8) | NAICS Code
NaicsDesc string(120) | NAICS Description
YearStarted string(4) | Year Started
SicDesc string(80) | SIC Description
"""

_PERSON_NAME = """
LastName string(80) req part=Name extra=personname | Last Name
FirstName string(40) part=Name extra=personname | First Name
Salutation picklist(40) part=Name extra=personname | Salutation
Name string(121) ro notnull name extra=personname | Full Name
"""

CONTACT = f"""
MasterRecordId reference(Contact) ro rel=MasterRecord | Master Record ID
AccountId reference(Account) children=Contacts cascade | Account ID
{_PERSON_NAME}
RecordTypeId reference(RecordType) | Record Type ID
{_address("Other", "Other")}
{_address("Mailing", "Mailing")}
Phone phone(40) | Business Phone
Fax phone(40) | Business Fax
MobilePhone phone(40) | Mobile Phone
HomePhone phone(40) | Home Phone
OtherPhone phone(40) | Other Phone
AssistantPhone phone(40) | Asst. Phone
ReportsToId reference(Contact) | Reports To ID
Email email(80) lookup | Email
Title string(128) | Title
Department string(80) | Department
AssistantName string(40) | Assistant's Name
LeadSource picklist(255) | Lead Source
Birthdate date | Birthdate
Description textarea(32000) extra=plaintextarea | Contact Description
OwnerId reference(User) auto rel=Owner | Owner ID
HasOptedOutOfEmail boolean | Email Opt Out
HasOptedOutOfFax boolean | Fax Opt Out
DoNotCall boolean | Do Not Call
{AUDIT}{VIEWED}
LastCURequestDate datetime ro | Last Stay-in-Touch Request Date
LastCUUpdateDate datetime ro | Last Stay-in-Touch Save Date
EmailBouncedReason string(255) | Email Bounced Reason
EmailBouncedDate datetime | Email Bounced Date
IsEmailBounced boolean ro | Is Email Bounced
PhotoUrl url(255) ro extra=imageurl | Photo URL
Jigsaw string(20) | Data.com Key
JigsawContactId string(20) ro | Jigsaw Contact ID
CleanStatus picklist(40) restricted | Clean Status
"""

LEAD = f"""
MasterRecordId reference(Lead) ro rel=MasterRecord | Master Record ID
{_PERSON_NAME}
RecordTypeId reference(RecordType) | Record Type ID
Title string(128) | Title
Company string(255) req | Company
{_address("", "")}
Phone phone(40) | Phone
MobilePhone phone(40) | Mobile Phone
Fax phone(40) | Fax
Email email(80) lookup | Email
Website url(255) | Website
PhotoUrl url(255) ro extra=imageurl | Photo URL
Description textarea(32000) extra=plaintextarea | Description
LeadSource picklist(255) | Lead Source
Status picklist(255) req default=Open_-_Not_Contacted | Status
Industry picklist(255) | Industry
Rating picklist(255) | Rating
AnnualRevenue currency(18,0) | Annual Revenue
NumberOfEmployees int | Employees
OwnerId reference(Group,User) auto rel=Owner | Owner ID
HasOptedOutOfEmail boolean | Email Opt Out
HasOptedOutOfFax boolean | Fax Opt Out
DoNotCall boolean | Do Not Call
IsConverted boolean noupdate | Converted
ConvertedDate date ro | Converted Date
ConvertedAccountId reference(Account) ro | Converted Account ID
ConvertedContactId reference(Contact) ro | Converted Contact ID
ConvertedOpportunityId reference(Opportunity) ro | Converted Opportunity ID
IsUnreadByOwner boolean | Unread By Owner
{AUDIT}{VIEWED}
Jigsaw string(20) | Data.com Key
JigsawContactId string(20) ro | Jigsaw Contact ID
CleanStatus picklist(40) restricted | Clean Status
CompanyDunsNumber string(9) | Company D-U-N-S Number
EmailBouncedReason string(255) nocreate | Email Bounced Reason
EmailBouncedDate datetime nocreate | Email Bounced Date
"""

OPPORTUNITY = f"""
AccountId reference(Account) children=Opportunities cascade | Account ID
RecordTypeId reference(RecordType) | Record Type ID
IsPrivate boolean | Private
Name string(120) req lookup name | Name
Description textarea(32000) extra=plaintextarea | Description
StageName picklist(255) req | Stage
Amount currency(18,2) | Amount
Probability percent(3,0) filled | Probability (%)
ExpectedRevenue currency(18,2) ro | Expected Amount
TotalOpportunityQuantity double(18,2) | Quantity
CloseDate date req | Close Date
Type picklist(255) | Opportunity Type
NextStep string(255) | Next Step
LeadSource picklist(255) | Lead Source
IsClosed boolean ro | Closed
IsWon boolean ro | Won
ForecastCategory picklist(40) ro notnull restricted | Forecast Category
ForecastCategoryName picklist(255) filled restricted | Forecast Category
CampaignId reference(Campaign) children=Opportunities | Campaign ID
HasOpportunityLineItem boolean ro | Has Line Item
OwnerId reference(User) auto rel=Owner | Owner ID
{AUDIT}{VIEWED}
LastStageChangeDate datetime ro | Last Stage Change Date
FiscalQuarter int ro part=Fiscal | Fiscal Quarter
FiscalYear int ro part=Fiscal | Fiscal Year
Fiscal string(6) ro | Fiscal Period
ContactId reference(Contact) noupdate norel children=Opportunities | Contact ID
HasOpenActivity boolean ro nofilter | Has Open Activity
HasOverdueTask boolean ro nofilter | Has Overdue Task
LastAmountChangedHistoryId reference(OpportunityHistory) ro | Opportunity History ID
LastCloseDateChangedHistoryId reference(OpportunityHistory) ro | Opportunity History ID
"""

ROLE = f"""
OpportunityId reference(Opportunity) req noupdate children=OpportunityContactRoles cascade | Opportunity ID
ContactId reference(Contact) req children=OpportunityContactRoles cascade | Contact ID
Role picklist(40) | Role
IsPrimary boolean | Primary
{AUDIT}
"""

HISTORY = """
OpportunityId reference(Opportunity) req ro children=OpportunityHistories cascade | Opportunity ID
CreatedById reference(User) auto ro rel=CreatedBy | Created By ID
CreatedDate datetime auto ro | Created Date
StageName picklist(255) ro auto | Stage Name
Amount currency(18,2) ro | Amount
ExpectedRevenue currency(18,2) ro | Expected Revenue
CloseDate date ro | Close Date
Probability percent(3,0) ro | Probability
ForecastCategory picklist(40) ro restricted | To ForecastCategory
SystemModstamp datetime auto ro | System Modstamp
PrevAmount currency(18,2) ro | Prev Amount
PrevCloseDate date ro | Prev Close Date
"""

STAGE = f"""
MasterLabel string(255) ro name | Master Label
ApiName string(255) ro | API Name
IsActive boolean ro true | Is Active
SortOrder int ro | Sort Order
IsClosed boolean ro | Closed
IsWon boolean ro | Won
ForecastCategory picklist(40) ro restricted | Forecast Category
ForecastCategoryName picklist(255) ro | Forecast Category Name
DefaultProbability percent(3,0) ro | Probability (%)
Description string(255) ro | Description
{AUDIT}
"""

CAMPAIGN = f"""
Name string(80) req name | Name
ParentId reference(Campaign) rel=Parent children=ChildCampaigns | Parent Campaign ID
RecordTypeId reference(RecordType) | Record Type ID
Type picklist(40) | Type
Status picklist(40) default=Planned | Status
StartDate date | Start Date
EndDate date | End Date
ExpectedRevenue currency(18,0) | Expected Revenue
BudgetedCost currency(18,0) | Budgeted Cost
ActualCost currency(18,0) | Actual Cost
ExpectedResponse percent(10,2) | Expected Response (%)
NumberSent double(18,0) | Num Sent
IsActive boolean | Active
Description textarea(32000) extra=plaintextarea | Description
NumberOfLeads int ro | Leads in Campaign
NumberOfConvertedLeads int ro | Converted Leads in Campaign
NumberOfContacts int ro | Contacts in Campaign
NumberOfResponses int ro | Responses in Campaign
NumberOfOpportunities int ro | Opportunities in Campaign
NumberOfWonOpportunities int ro | Won Opportunities in Campaign
AmountAllOpportunities currency(18,0) ro | Value Opportunities in Campaign
AmountWonOpportunities currency(18,0) ro | Value Won Opportunities in Campaign
OwnerId reference(User) auto rel=Owner | Owner ID
{AUDIT}{VIEWED}
"""
_OPPORTUNITIES = 'FROM "Opportunity" o WHERE o.CampaignId = {t}.Id AND o.IsDeleted = 0'
_MEMBERS = 'FROM "CampaignMember" m WHERE m.CampaignId = {t}.Id AND m.IsDeleted = 0'
CAMPAIGN_EXPRESSIONS = {
    "NumberOfLeads": f"(SELECT COUNT(*) {_MEMBERS} AND m.LeadId IS NOT NULL AND m.ContactId IS NULL)",
    "NumberOfConvertedLeads": f"(SELECT COUNT(*) {_MEMBERS} AND m.LeadId IS NOT NULL AND m.ContactId IS NOT NULL)",
    "NumberOfContacts": f"(SELECT COUNT(*) {_MEMBERS} AND m.ContactId IS NOT NULL)",
    "NumberOfResponses": f"(SELECT COUNT(*) {_MEMBERS} AND m.HasResponded = 1)",
    "NumberOfOpportunities": f"(SELECT COUNT(*) {_OPPORTUNITIES})",
    "NumberOfWonOpportunities": f"(SELECT COUNT(*) {_OPPORTUNITIES} AND o.IsWon = 1)",
    "AmountAllOpportunities": f"(SELECT COALESCE(SUM(o.Amount), 0.0) {_OPPORTUNITIES})",
    "AmountWonOpportunities": f"(SELECT COALESCE(SUM(o.Amount), 0.0) {_OPPORTUNITIES} AND o.IsWon = 1)",
}

MEMBER = f"""
CampaignId reference(Campaign) req noupdate children=CampaignMembers cascade | Campaign ID
LeadId reference(Lead) noupdate children=CampaignMembers cascade | Lead ID
ContactId reference(Contact) noupdate children=CampaignMembers cascade | Contact ID
Status picklist(40) | Status
HasResponded boolean ro | Responded
{AUDIT}
FirstRespondedDate date ro | First Responded Date
Salutation picklist(40) ro | Salutation
Name string(255) ro name | Name
FirstName string(40) ro | First Name
LastName string(80) ro | Last Name
Title string(128) ro | Title
Email email(80) ro | Email
Phone phone(40) ro | Phone
MobilePhone phone(40) ro | Mobile
DoNotCall boolean ro | Do Not Call
HasOptedOutOfEmail boolean ro | Email Opt Out
LeadSource picklist(255) ro | Lead Source
CompanyOrAccount string(255) ro | Company (Account)
Type picklist(40) ro | Type
LeadOrContactId reference(Contact,Lead) ro rel=LeadOrContact | Related Record ID
LeadOrContactOwnerId reference(Group,User) ro rel=LeadOrContactOwner | Related Record Owner ID
"""


def _of_person(name: str, lead: str | None = None) -> str:
    contact = f'(SELECT p."{name}" FROM "Contact" p WHERE p.Id = {{t}}.ContactId)'
    return f'COALESCE({contact}, (SELECT p."{lead or name}" FROM "Lead" p WHERE p.Id = {{t}}.LeadId))'


MEMBER_EXPRESSIONS = {
    name: _of_person(name)
    for name in (
        "Salutation", "Name", "FirstName", "LastName", "Title", "Email", "Phone", "MobilePhone", "DoNotCall",
        "HasOptedOutOfEmail", "LeadSource",
    )
} | {
    "CompanyOrAccount": (
        'COALESCE((SELECT a.Name FROM "Contact" p JOIN "Account" a ON a.Id = p.AccountId WHERE p.Id = {t}.ContactId),'
        ' (SELECT p.Company FROM "Lead" p WHERE p.Id = {t}.LeadId))'
    ),
    "Type": "(CASE WHEN {t}.ContactId IS NOT NULL THEN 'Contact' ELSE 'Lead' END)",
    "LeadOrContactId": "COALESCE({t}.ContactId, {t}.LeadId)",
    "LeadOrContactOwnerId": _of_person("OwnerId"),
}  # fmt: skip

MEMBER_STATUS = f"""
CampaignId reference(Campaign) req noupdate children=CampaignMemberStatuses cascade | Campaign ID
Label string(765) req name | Label
SortOrder int | Sort Order
IsDefault boolean | Is Default
HasResponded boolean | Responded
{AUDIT}
"""

TASK = f"""
WhoId reference(Contact,Lead) rel=Who children=Tasks cascade | Name ID
WhatId reference(Account,Campaign,Opportunity) rel=What children=Tasks cascade | Related To ID
Subject combobox(255) name | Subject
ActivityDate date | Due Date Only
Status picklist(40) req default=Not_Started | Status
Priority picklist(40) req default=Normal | Priority
IsHighPriority boolean ro | High Priority
OwnerId reference(Group,User) auto rel=Owner | Assigned To ID
Description textarea(32000) extra=plaintextarea | Description
Type picklist(40) | Type
AccountId reference(Account) ro | Account ID
IsClosed boolean ro | Closed
{AUDIT}
IsArchived boolean ro | Archived
CallDurationInSeconds int | Call Duration
CallType picklist(40) restricted | Call Type
CallDisposition string(255) | Call Result
CallObject string(255) | Call Object Identifier
ReminderDateTime datetime | Reminder Date/Time
IsReminderSet boolean | Reminder Set
RecurrenceActivityId reference(Task) ro | Recurrence Activity ID
IsRecurrence boolean noupdate | Create Recurring Series of Tasks
TaskSubtype picklist(40) restricted noupdate default=Task | Task Subtype
CompletedDateTime datetime ro | Completed Date
"""

EVENT = f"""
WhoId reference(Contact,Lead) rel=Who children=Events cascade | Name ID
WhatId reference(Account,Campaign,Opportunity) rel=What children=Events cascade | Related To ID
Subject combobox(255) name | Subject
Location string(255) | Location
IsAllDayEvent boolean | All-Day Event
ActivityDateTime datetime | Due Date Time
ActivityDate date | Due Date Only
DurationInMinutes int | Duration
StartDateTime datetime | Start Date Time
EndDateTime datetime | End Date Time
EndDate date ro | End Date
Description textarea(32000) extra=plaintextarea | Description
AccountId reference(Account) ro | Account ID
OwnerId reference(User) auto rel=Owner | Assigned To ID
Type picklist(40) | Type
IsPrivate boolean | Private
ShowAs picklist(40) restricted default=Busy | Show Time As
IsChild boolean ro | Is Child
IsGroupEvent boolean ro | Is Group Event
GroupEventType picklist(40) ro restricted default=0 | Group Event Type
{AUDIT}
IsArchived boolean ro | Archived
IsRecurrence boolean noupdate | Create Recurring Series of Events
ReminderDateTime datetime | Reminder Date/Time
IsReminderSet boolean | Reminder Set
EventSubtype picklist(40) restricted noupdate default=Event | Event Subtype
"""

USER = f"""
Username string(80) req lookup | Username
LastName string(80) req part=Name extra=personname | Last Name
FirstName string(40) part=Name extra=personname | First Name
Name string(121) ro notnull name extra=personname | Full Name
CompanyName string(80) | Company Name
Division string(80) | Division
Department string(80) | Department
Title string(80) | Title
Email email(128) req | Email
Phone phone(40) | Phone
MobilePhone phone(40) | Mobile
Alias string(8) req | Alias
CommunityNickname string(40) auto | Nickname
IsActive boolean true | Active
TimeZoneSidKey picklist(40) auto restricted default=America/Los__Angeles | Time Zone
UserRoleId reference(UserRole) | Role ID
LocaleSidKey picklist(40) auto restricted default=en__US | Locale
EmailEncodingKey picklist(40) auto restricted default=UTF-8 | Email Encoding
ProfileId reference(Profile) auto | Profile ID
UserType picklist(40) ro restricted default=Standard | User Type
LanguageLocaleKey picklist(40) auto restricted default=en__US | Language
EmployeeNumber string(20) | Employee Number
ManagerId reference(User) | Manager ID
LastLoginDate datetime ro | Last Login
{AUDIT}
FederationIdentifier string(512) | SAML Federation ID
"""

ORGANIZATION = f"""
Name string(80) req name | Name
Division string(80) | Division
{_address("", "")}
Phone phone(40) | Phone
PrimaryContact string(80) | Primary Contact
DefaultLocaleSidKey picklist(40) restricted | Locale
TimeZoneSidKey picklist(40) restricted | Time Zone
LanguageLocaleKey picklist(40) restricted | Language
FiscalYearStartMonth int | Fiscal Year Starts In
UsesStartDateAsFiscalYearName boolean | Fiscal Year Name by Start
OrganizationType picklist(40) ro restricted | Edition
NamespacePrefix string(15) ro | Namespace Prefix
InstanceName string(5) ro | Instance Name
IsSandbox boolean ro | Is Sandbox
TrialExpirationDate datetime ro | Trial Expiration Date
IsReadOnly boolean ro | Is Read Only
{AUDIT}
"""

RECORD_TYPE = f"""
Name string(80) req name | Name
DeveloperName string(80) req | Record Type Name
NamespacePrefix string(15) ro | Namespace Prefix
Description string(255) | Description
SobjectType picklist(40) req noupdate | SObject Type Name
IsActive boolean true | Active
{AUDIT}
"""

GROUP = f"""
Name string(40) req name | Name
DeveloperName string(80) | Developer Name
RelatedId reference(User,UserRole) ro | Related ID
Type picklist(40) req noupdate restricted | Type
Email email(255) | Email
{AUDIT}
"""

PROFILE = f"""
Name string(255) req name | Name
UserType picklist(40) ro restricted | User Type
Description string(255) | Description
{AUDIT}
"""

ROLE_OF_USER = """
Name string(80) req name | Name
ParentRoleId reference(UserRole) rel=ParentRole | Parent Role ID
DeveloperName string(80) | Developer Name
RollupDescription string(80) | Description
LastModifiedDate datetime auto ro | Last Modified Date
LastModifiedById reference(User) auto ro rel=LastModifiedBy | Last Modified User ID
SystemModstamp datetime auto ro | System Modstamp
"""

PICKLISTS: dict[str, tuple[str, ...]] = {
    "Account.Type": ("Prospect", "Customer - Direct", "Customer - Channel", "Channel Partner / Reseller",
                     "Installation Partner", "Technology Partner", "Other"),
    "Industry": ("Agriculture", "Apparel", "Banking", "Biotechnology", "Chemicals", "Communications", "Construction",
                 "Consulting", "Education", "Electronics", "Energy", "Engineering", "Entertainment", "Environmental",
                 "Finance", "Food & Beverage", "Government", "Healthcare", "Hospitality", "Insurance", "Machinery",
                 "Manufacturing", "Media", "Not For Profit", "Recreation", "Retail", "Shipping", "Technology",
                 "Telecommunications", "Transportation", "Utilities", "Other"),
    "Rating": ("Hot", "Warm", "Cold"),
    "Ownership": ("Public", "Private", "Subsidiary", "Other"),
    "Salutation": ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."),
    "LeadSource": ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"),
    "AccountSource": ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"),
    "Lead.Status": ("Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted"),
    "StageName": ("Prospecting", "Qualification", "Needs Analysis", "Value Proposition", "Id. Decision Makers",
                  "Perception Analysis", "Proposal/Price Quote", "Negotiation/Review", "Closed Won", "Closed Lost"),
    "Opportunity.Type": ("Existing Customer - Upgrade", "Existing Customer - Replacement",
                         "Existing Customer - Downgrade", "New Customer"),
    "ForecastCategory": ("Omitted", "Pipeline", "BestCase", "MostLikely", "Forecast", "Closed"),
    "ForecastCategoryName": ("Omitted", "Pipeline", "Best Case", "Commit", "Closed"),
    "OpportunityContactRole.Role": ("Business User", "Decision Maker", "Economic Buyer", "Economic Decision Maker",
                                    "Evaluator", "Executive Sponsor", "Influencer", "Technical Buyer", "Other"),
    "Campaign.Type": ("Conference", "Webinar", "Trade Show", "Public Relations", "Partners", "Referral Program",
                      "Advertisement", "Banner Ads", "Direct Mail", "Email", "Telemarketing", "Other"),
    "Campaign.Status": ("Planned", "In Progress", "Completed", "Aborted"),
    "CampaignMember.Status": ("Sent", "Responded"),
    "Task.Status": ("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"),
    "Task.Priority": ("High", "Normal", "Low"),
    "Task.Type": ("Call", "Email", "Meeting", "Other"),
    "Event.Type": ("Call", "Email", "Meeting", "Other"),
    "CallType": ("Internal", "Inbound", "Outbound"),
    "TaskSubtype": ("Task", "Email", "ListEmail", "Cadence", "Call", "LinkedIn"),
    "EventSubtype": ("Event",),
    "GroupEventType": ("0", "1", "2", "3"),
    "ShowAs": ("Busy", "OutOfOffice", "Free"),
    "UserType": ("Standard", "PowerPartner", "CsnOnly", "Guest"),
    "Group.Type": ("Regular", "Queue", "Role", "Organization"),
    "CleanStatus": ("Pending", "Matched", "Acknowledged", "NotFound", "Inactive", "Different", "SelectMatch",
                    "Skipped"),
    "GeocodeAccuracy": ("Address", "NearAddress", "Block", "Street", "ExtendedZip", "Zip", "Neighborhood", "City",
                        "County", "State", "Unknown"),
}  # fmt: skip

# Name, plural, prefix, which of the flags are NOT set, the fields, the computed ones.
_NEVER = "createable updateable deletable undeletable searchable"
_TABLES: tuple[tuple[str, str, str, str, str, dict[str, str]], ...] = (
    ("Account", "Accounts", "001", "", ACCOUNT, {}),
    ("Contact", "Contacts", "003", "", CONTACT, {}),
    ("Lead", "Leads", "00Q", "", LEAD, {}),
    ("Opportunity", "Opportunities", "006", "mergeable", OPPORTUNITY, {}),
    ("OpportunityContactRole", "Opportunity Contact Role", "00K", "undeletable mergeable searchable", ROLE, {}),
    ("OpportunityHistory", "Opportunity History", "008", _NEVER + " mergeable", HISTORY, {}),
    ("OpportunityStage", "Opportunity Stage", "01J", _NEVER + " mergeable", STAGE, {}),
    ("Campaign", "Campaigns", "701", "mergeable", CAMPAIGN, CAMPAIGN_EXPRESSIONS),
    ("CampaignMember", "Campaign Members", "00v", "undeletable mergeable searchable", MEMBER, MEMBER_EXPRESSIONS),
    ("CampaignMemberStatus", "Campaign Member Statuses", "01Y", "undeletable mergeable searchable", MEMBER_STATUS, {}),
    ("Task", "Tasks", "00T", "mergeable", TASK, {}),
    ("Event", "Events", "00U", "mergeable", EVENT, {}),
    ("User", "Users", "005", "deletable undeletable mergeable", USER, {}),
    ("Organization", "Organizations", "00D", "createable deletable undeletable mergeable searchable", ORGANIZATION, {}),
    ("RecordType", "Record Types", "012", "deletable undeletable mergeable searchable", RECORD_TYPE, {}),
    ("Group", "Groups", "00G", "undeletable mergeable searchable", GROUP, {}),
    ("Profile", "Profile", "00e", "createable deletable undeletable mergeable searchable", PROFILE, {}),
    ("UserRole", "Role", "00E", "undeletable mergeable searchable", ROLE_OF_USER, {}),
)
_NO_BIN = frozenset({"User", "Organization", "RecordType", "OpportunityStage", "Group", "Profile", "UserRole"})
_BY_WORD_LABELS = {
    "OpportunityContactRole": "Opportunity Contact Role",
    "OpportunityHistory": "Opportunity History",
    "OpportunityStage": "Opportunity Stage",
    "CampaignMember": "Campaign Member",
    "CampaignMemberStatus": "Campaign Member Status",
    "RecordType": "Record Type",
    "UserRole": "Role",
}


def standard_objects() -> list[SObject]:
    """
    Fresh copies of the standard objects.
    """
    return [_build(*row) for row in _TABLES]


def custom_object_fields(sobject: str) -> list[Field]:
    """
    The system fields a custom object starts with (its name field is the caller's).
    """
    lines = [ID, DELETED, *AUDIT.strip().splitlines()]
    return [_with_values(sobject, parse_field(line)) for line in lines]


def _build(name: str, plural: str, prefix: str, without: str, table: str, expressions: dict[str, str]) -> SObject:
    made = SObject(name, _BY_WORD_LABELS.get(name, name), plural, prefix, mergeable="mergeable" not in without)
    for flag in without.split():
        setattr(made, flag, False)
    lines = [ID, *([] if name in _NO_BIN else [DELETED]), *(line for line in table.splitlines() if line.strip())]
    for line in lines:
        parsed = _with_values(name, parse_field(line))
        if parsed.name == "Id":
            parsed = replace(parsed, label=f"{made.label} ID")
        if parsed.name in expressions:
            parsed = replace(parsed, expression=expressions[parsed.name])
        made.add([parsed])
    return made


def _with_values(sobject: str, parsed: Field) -> Field:
    bare = parsed.name
    for prefix in ("Billing", "Shipping", "Mailing", "Other"):
        bare = bare.removeprefix(prefix) if parsed.compound else bare
    values = PICKLISTS.get(f"{sobject}.{parsed.name}", PICKLISTS.get(bare, ()))
    if parsed.type not in {"picklist", "combobox", "multipicklist"}:
        values = ()
    return replace(parsed, values=values)
