"""
The objects every practice org has, as tables of field lines (``schema.parse_field`` says how a line reads).

Names, types and lengths are Salesforce's own. Computed fields (roll-ups on Campaign, the person's details on
CampaignMember) are SQL read when asked for, because in Salesforce too they change without moving a stamp. What an org
may or may not have is in ``features.py``, what administrators set up in ``setup_objects.py``.
"""

from dataclasses import replace

from worker.practice.salesforce.automation import AUTOMATION_TABLES
from worker.practice.salesforce.lines import AUDIT, DELETED, ID, VIEWED, Table, address
from worker.practice.salesforce.schema import STANDARD_LINKS, Field, SObject, parse_field
from worker.practice.salesforce.setup_objects import SETUP_TABLES
from worker.practice.salesforce.tooling_objects import TOOLING_TABLES

ACCOUNT = f"""
MasterRecordId reference(Account) ro noprefilter rel=MasterRecord | Master Record ID
Name string(255) req name part=Name extra=switchablepersonname | Account Name
Type picklist(40) | Account Type
RecordTypeId reference(RecordType) noperm noprefilter | Record Type ID
ParentId reference(Account) rel=Parent children=ChildAccounts | Parent Account ID
{address("Billing", "Billing")}
{address("Shipping", "Shipping")}
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
IsCustomerPortal boolean nocreate | Customer Portal Account
ChannelProgramName string(255) ro nofilter group agg | Channel Program Name
ChannelProgramLevelName string(255) ro nofilter group agg | Channel Program Level Name
Jigsaw string(20) | Data.com Key
JigsawCompanyId string(20) ro rel=JigsawCompany | Jigsaw Company ID
CleanStatus picklist(40) restricted | Clean Status
AccountSource picklist(40) | Account Source
DunsNumber string(9) | D-U-N-S Number
Tradestyle string(255) | Tradestyle
NaicsCode string(8) | NAICS Code
NaicsDesc string(120) | NAICS Description
YearStarted string(4) | Year Started
SicDesc string(80) | SIC Description
DandbCompanyId reference(DandBCompany) rel=DandbCompany | D&B Company ID
OperatingHoursId reference(OperatingHours) rel=OperatingHours | Operating Hour ID
"""

_PERSON_NAME = """
LastName string(80) req part=Name extra=personname | Last Name
FirstName string(40) part=Name extra=personname | First Name
Salutation picklist(40) part=Name extra=personname | Salutation
Name string(121) ro notnull name extra=personname | Full Name
"""

CONTACT = f"""
MasterRecordId reference(Contact) ro noprefilter rel=MasterRecord | Master Record ID
AccountId reference(Account) children=Contacts cascade | Account ID
{_PERSON_NAME}
RecordTypeId reference(RecordType) noperm noprefilter | Record Type ID
{address("Other", "Other")}
{address("Mailing", "Mailing")}
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
EmailBouncedReason string(255) noperm | Email Bounced Reason
EmailBouncedDate datetime noperm | Email Bounced Date
IsEmailBounced boolean ro | Is Email Bounced
PhotoUrl url(255) ro extra=imageurl | Photo URL
Jigsaw string(20) | Data.com Key
JigsawContactId string(20) ro rel=JigsawContact | Jigsaw Contact ID
CleanStatus picklist(40) restricted | Clean Status
IndividualId reference(Individual) noperm rel=Individual | Individual ID
"""

LEAD = f"""
MasterRecordId reference(Lead) ro noprefilter rel=MasterRecord | Master Record ID
{_PERSON_NAME}
RecordTypeId reference(RecordType) noperm noprefilter | Record Type ID
Title string(128) | Title
Company string(255) req | Company
{address("", "")}
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
JigsawContactId string(20) ro rel=JigsawContact | Jigsaw Contact ID
CleanStatus picklist(40) restricted | Clean Status
CompanyDunsNumber string(9) | Company D-U-N-S Number
DandbCompanyId reference(DandBCompany) rel=DandbCompany | D&B Company ID
EmailBouncedReason string(255) nocreate noperm | Email Bounced Reason
EmailBouncedDate datetime nocreate noperm | Email Bounced Date
IndividualId reference(Individual) noperm rel=Individual | Individual ID
"""

OPPORTUNITY = f"""
AccountId reference(Account) children=Opportunities cascade | Account ID
RecordTypeId reference(RecordType) noperm noprefilter | Record Type ID
IsPrivate boolean perm | Private
Name string(120) req lookup name | Name
Description textarea(32000) extra=plaintextarea | Description
StageName picklist(255) req | Stage
Amount currency(18,2) | Amount
Probability percent(3,0) filled | Probability (%)
ExpectedRevenue currency(18,2) ro perm | Expected Amount
TotalOpportunityQuantity double(18,2) | Quantity
CloseDate date req | Close Date
Type picklist(255) | Opportunity Type
NextStep string(255) | Next Step
LeadSource picklist(255) | Lead Source
IsClosed boolean ro | Closed
IsWon boolean ro | Won
ForecastCategory picklist(40) ro notnull restricted | Forecast Category
ForecastCategoryName picklist(255) filled restricted noperm | Forecast Category
CampaignId reference(Campaign) children=Opportunities | Campaign ID
HasOpportunityLineItem boolean ro | Has Line Item
Pricebook2Id reference(Pricebook2) filled noperm rel=Pricebook2 | Price Book ID
OwnerId reference(User) auto rel=Owner | Owner ID
{AUDIT}{VIEWED}
LastStageChangeDate datetime ro | Last Stage Change Date
FiscalQuarter int ro part=Fiscal | Fiscal Quarter
FiscalYear int ro part=Fiscal | Fiscal Year
Fiscal string(6) ro ascii | Fiscal Period
ContactId reference(Contact) noupdate norel noperm noprefilter children=Opportunities | Contact ID
HasOpenActivity boolean ro nofilter group | Has Open Activity
HasOverdueTask boolean ro nofilter group | Has Overdue Task
LastAmountChangedHistoryId reference(OpportunityHistory) ro | Opportunity History ID
LastCloseDateChangedHistoryId reference(OpportunityHistory) ro | Opportunity History ID
"""

ROLE = f"""
OpportunityId reference(Opportunity) req noupdate children=OpportunityContactRoles cascade | Opportunity ID
ContactId reference(Contact) req children=OpportunityContactRoles cascade | Contact ID
Role picklist(40) noperm | Role
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
RecordTypeId reference(RecordType) noperm noprefilter | Record Type ID
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
WhatId reference(Account,Campaign,Case,Opportunity) rel=What children=Tasks cascade | Related To ID
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
WhatId reference(Account,Campaign,Case,Opportunity) rel=What children=Events cascade | Related To ID
Subject combobox(255) name noperm | Subject
Location string(255) | Location
IsAllDayEvent boolean perm | All-Day Event
ActivityDateTime datetime noperm | Due Date Time
ActivityDate date noperm noagg | Due Date Only
DurationInMinutes int noperm | Duration
StartDateTime datetime noperm | Start Date Time
EndDateTime datetime noperm | End Date Time
EndDate date ro | End Date
Description textarea(32000) extra=plaintextarea | Description
AccountId reference(Account) ro | Account ID
OwnerId reference(Calendar,User) auto rel=Owner | Assigned To ID
Type picklist(40) | Type
IsPrivate boolean | Private
ShowAs picklist(40) restricted noperm default=Busy | Show Time As
IsChild boolean ro | Is Child
IsGroupEvent boolean ro | Is Group Event
GroupEventType picklist(40) ro restricted default=0 | Group Event Type
{AUDIT}
IsArchived boolean ro | Archived
RecurrenceActivityId reference(Event) ro norel noprefilter children=RecurringEvents | Recurrence Activity ID
IsRecurrence boolean noupdate | Create Recurring Series of Events
RecurrenceStartDateTime datetime noperm | Recurrence Start
RecurrenceEndDateOnly date noperm | Recurrence End
RecurrenceTimeZoneSidKey picklist(40) restricted noperm | Recurrence Time Zone
RecurrenceType picklist(40) restricted noperm | Recurrence Type
RecurrenceInterval int noperm digits=9 | Recurrence Interval
RecurrenceDayOfWeekMask int noperm digits=9 | Recurrence Day of Week Mask
RecurrenceDayOfMonth int noperm digits=9 | Recurrence Day of Month
RecurrenceInstance picklist(40) restricted noperm | Recurrence Instance
RecurrenceMonthOfYear picklist(40) restricted noperm | Recurrence Month of Year
ReminderDateTime datetime noperm | Reminder Date/Time
IsReminderSet boolean | Reminder Set
EventSubtype picklist(40) restricted noupdate noperm | Event Subtype
IsRecurrence2Exclusion boolean ro | Historical Event, Not Following Recurrence
Recurrence2PatternText textarea(512) noupdate noperm extra=plaintextarea | Recurrence Pattern
Recurrence2PatternVersion picklist(40) ro restricted | Pattern Version
IsRecurrence2 boolean ro | Repeat
IsRecurrence2Exception boolean ro | Is Exception
Recurrence2PatternStartDate datetime ro | Recurrence Pattern Start Date
Recurrence2PatternTimeZone string(255) ro | Recurrence Pattern Time Zone Reference
"""

CASE = f"""
MasterRecordId reference(Case) ro noprefilter rel=MasterRecord | Master Record ID
CaseNumber string(30) auto ro lookup name nogroup number={00000000} | Case Number
ContactId reference(Contact) restrict children=Cases | Contact ID
AccountId reference(Account) restrict children=Cases | Account ID
AssetId reference(Asset) children=Cases | Asset ID
ParentId reference(Case) rel=Parent children=Cases | Parent Case ID
SuppliedName string(80) | Name
SuppliedEmail email(80) | Email Address
SuppliedPhone string(40) | Phone
SuppliedCompany string(80) | Company
Type picklist(40) | Case Type
Status picklist(40) noperm default=New | Status
Reason picklist(40) | Case Reason
Origin picklist(40) | Case Origin
Subject string(255) | Subject
Priority picklist(40) default=Medium | Priority
Description textarea(32000) extra=plaintextarea | Description
IsClosed boolean ro | Closed
ClosedDate datetime ro perm | Closed Date
IsEscalated boolean perm | Escalated
OwnerId reference(Group,User) auto rel=Owner | Owner ID
{AUDIT}
ContactPhone phone(40) ro | Contact Phone
ContactMobile phone(40) ro | Contact Mobile
ContactEmail email(80) ro | Contact Email
ContactFax phone(40) ro | Contact Fax
Comments textarea(4000) sort nogroup noperm ascii extra=plaintextarea | Internal Comments
LastViewedDate datetime ro | Last Viewed Date
LastReferencedDate datetime ro | Last Referenced Date
"""
CASE_EXPRESSIONS = {
    f"Contact{shown}": f'(SELECT p."{name}" FROM "Contact" p WHERE p.Id = {{t}}.ContactId)'
    for shown, name in (("Phone", "Phone"), ("Mobile", "MobilePhone"), ("Email", "Email"), ("Fax", "Fax"))
}

# Objects that are here because the fields of others point at them; nobody's rules need more of them than a name.
NAMED = f"""
Name string(255) req name | Name
OwnerId reference(User) auto rel=Owner | Owner ID
{AUDIT}
"""
ASSET = f"""
AccountId reference(Account) children=Assets cascade | Account ID
ContactId reference(Contact) children=Assets cascade | Contact ID
AssetProvidedById reference(Account) rel=AssetProvidedBy children=ProvidedAssets | Account ID
AssetServicedById reference(Account) rel=AssetServicedBy children=ServicedAssets | Account ID
{NAMED}
"""
UNOWNED = f"""
Name string(255) req name | Name
Description textarea(255) | Description
IsActive boolean true | Active
{AUDIT}
"""
CALENDAR = f"""
Name string(80) req name | Calendar Name
UserId reference(User) rel=User | User ID
Type picklist(40) req | Calendar Type
IsActive boolean true | Active
{AUDIT}
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
    "ForecastCategory": ("Omitted", "Pipeline", "BestCase=Best Case", "MostLikely=Most Likely", "Forecast=Commit",
                         "Closed"),
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
    "GroupEventType": ("0=Non-group Event", "1=Group Event", "2=Proposed Event",
                       "3=IsRecurrence2 Series Pattern"),
    "ShowAs": ("Busy", "OutOfOffice=Out of Office", "Free"),
    "UserType": ("Standard", "PowerPartner", "CsnOnly", "Guest"),
    "Group.Type": ("Regular", "Queue", "Role", "Organization"),
    "CleanStatus": ("Matched=In Sync", "Different", "Acknowledged=Reviewed", "NotFound=Not Found", "Inactive",
                    "Pending=Not Compared", "SelectMatch=Select Match", "Skipped"),
    "GeocodeAccuracy": ("Address", "NearAddress", "Block", "Street", "ExtendedZip", "Zip", "Neighborhood", "City",
                        "County", "State", "Unknown"),
    "RecurrenceType": ("RecursDaily=Recurs Daily", "RecursEveryWeekday=Recurs Every Weekday",
                       "RecursMonthly=Recurs Monthly", "RecursMonthlyNth=Recurs Monthly Nth",
                       "RecursWeekly=Recurs Weekly", "RecursYearly=Recurs Yearly",
                       "RecursYearlyNth=Recurs Yearly Nth"),
    "RecurrenceInstance": ("First=1st", "Second=2nd", "Third=3rd", "Fourth=4th", "Last=last"),
    "RecurrenceMonthOfYear": ("January", "February", "March", "April", "May", "June", "July", "August", "September",
                              "October", "November", "December"),
    "Recurrence2PatternVersion": ("1=RFC 5545 v4 RRULE", "2=RFC 5545 v4_2 RRULE"),
    "Case.Type": ("Mechanical", "Electrical", "Electronic", "Structural", "Other"),
    "Case.Status": ("New", "Working", "Escalated", "Closed"),
    "Case.Reason": ("Installation", "Equipment Complexity", "Performance", "Breakdown", "Equipment Design", "Feedback",
                    "Other"),
    "Case.Origin": ("Phone", "Email", "Web"),
    "Case.Priority": ("High", "Medium", "Low"),
}  # fmt: skip

_MINE = ("mine", "My {}")
_TEAM = ("team", "My team's {}")
_RULE = ("scopingRule", "Filter by scope")
_QUEUES = (("queue_owned", "Queue owned {}"), ("user_owned", "User owned {}"))
_OWNED = (_MINE, _RULE, _TEAM)
_CHILD = "undeletable mergeable searchable"
_LOG = "createable updateable deletable undeletable mergeable searchable triggerable layoutable"
_SMALL = "mergeable undeletable"

_TABLES: tuple[Table, ...] = (
    Table("Account", "Accounts", "001", ACCOUNT, more="feed_enabled record_types", scopes=_OWNED),
    Table("Contact", "Contacts", "003", CONTACT, more="feed_enabled record_types", scopes=_OWNED),
    Table("Lead", "Leads", "00Q", LEAD, more="feed_enabled record_types", scopes=(*_OWNED, *_QUEUES)),
    Table("Opportunity", "Opportunities", "006", OPPORTUNITY, without="mergeable",
          more="feed_enabled deep_cloneable record_types", scopes=_OWNED),
    Table("OpportunityContactRole", "Opportunity Contact Role", "00K", ROLE, without=_CHILD,
          label="Opportunity Contact Role", id_label="Contact Role ID",
          links=("compactLayouts", "quickActions", "layouts")),
    Table("OpportunityHistory", "Opportunity History", "008", HISTORY, without=_LOG, label="Opportunity History"),
    Table("OpportunityStage", "Opportunity Stage", "01J", STAGE, without=_LOG, label="Opportunity Stage", bin=False),
    Table("Campaign", "Campaigns", "701", CAMPAIGN, without="mergeable", more="deep_cloneable record_types",
          expressions=CAMPAIGN_EXPRESSIONS, scopes=_OWNED),
    Table("CampaignMember", "Campaign Members", "00v", MEMBER, without=_CHILD, more="record_types",
          label="Campaign Member", expressions=MEMBER_EXPRESSIONS, links=("compactLayouts", "layouts")),
    Table("CampaignMemberStatus", "Campaign Member Statuses", "01Y", MEMBER_STATUS, without=_CHILD,
          label="Campaign Member Status"),
    Table("Task", "Tasks", "00T", TASK, without="mergeable", more="record_types",
          scopes=(("delegated", "My delegated {}"), *_OWNED)),
    Table("Event", "Events", "00U", EVENT, without="mergeable", more="record_types", id_label="Activity ID",
          scopes=(("delegated", "My delegated {}"), *_OWNED),
          links=("compactLayouts", "quickActions", "layouts", "eventSeriesUpdates")),
    Table("Case", "Cases", "500", CASE, without="mergeable", more="feed_enabled record_types",
          expressions=CASE_EXPRESSIONS,
          scopes=(_MINE, *_QUEUES, ("genericteam", "My case teams {}"), ("team_by_role", "My role-based team's {}")),
          links=(*STANDARD_LINKS, "caseArticleSuggestions", "caseRowArticleSuggestions")),
    Table("Asset", "Assets", "02i", ASSET, without=_SMALL, scopes=_OWNED),
    Table("Individual", "Individuals", "0PK", NAMED, without=_SMALL),
    Table("DandBCompany", "D&B Companies", "06E", NAMED, without=_SMALL, label="D&B Company"),
    Table("OperatingHours", "Operating Hours", "0OH", UNOWNED, without=_SMALL, label="Operating Hours", bin=False),
    Table("Pricebook2", "Price Books", "01s", UNOWNED, without=_SMALL, label="Price Book"),
    Table("Calendar", "Calendars", "023", CALENDAR, without=f"{_LOG} replicateable", bin=False),
)  # fmt: skip


def standard_objects() -> list[SObject]:
    """
    Fresh copies of the standard objects.
    """
    return [build(each) for each in (*_TABLES, *SETUP_TABLES, *AUTOMATION_TABLES, *TOOLING_TABLES)]


def custom_object_fields(sobject: str) -> list[Field]:
    """
    The system fields a custom object starts with (its name field is the caller's).
    """
    lines = [ID, DELETED, *AUDIT.strip().splitlines()]
    return [with_values(sobject, parse_field(line)) for line in lines]


def build(table: Table) -> SObject:
    """
    The object that a table says.
    """
    label = table.label or table.name
    plain = table.plural.lower()
    made = SObject(
        table.name,
        label,
        table.plural,
        table.prefix,
        scopes=tuple((name, words.format(plain)) for name, words in table.scopes),
        links=() if "layoutable" in table.without.split() and table.links is STANDARD_LINKS else table.links,
    )
    made.mergeable = "mergeable" not in table.without.split()
    for flag in table.without.split():
        setattr(made, flag, False)
    for flag in table.more.split():
        setattr(made, flag, True)
    lines = [ID, *([DELETED] if table.bin else []), *(line for line in table.fields.splitlines() if line.strip())]
    for line in lines:
        parsed = with_values(table.name, parse_field(line))
        if parsed.name == "Id":
            parsed = replace(parsed, label=table.id_label or f"{label} ID")
        if parsed.name in table.expressions:
            parsed = replace(parsed, expression=table.expressions[parsed.name])
        made.add([parsed])
    return made


def with_values(sobject: str, parsed: Field) -> Field:
    """
    The field with the values its picklist has from the start.
    """
    bare = parsed.name
    for prefix in ("Billing", "Shipping", "Mailing", "Other"):
        bare = bare.removeprefix(prefix) if parsed.compound else bare
    values = PICKLISTS.get(f"{sobject}.{parsed.name}", PICKLISTS.get(bare, ()))
    if parsed.type not in {"picklist", "combobox", "multipicklist"}:
        return parsed
    # A value whose label is another word is written value=label.
    pairs = [(value, label or value) for value, _, label in (each.partition("=") for each in values)]
    return replace(parsed, values=tuple(value for value, _ in pairs), labels=tuple(label for _, label in pairs))
