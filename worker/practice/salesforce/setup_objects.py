"""
The objects an administrator sets an org up with: the organisation, users, roles, profiles, permissions, record types.

Tables of field lines, as in ``standard.py``.
"""

from worker.practice.salesforce.lines import AUDIT, Table, address

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
{address("", "")}
Phone phone(40) | Phone
Fax phone(40) | Fax
PrimaryContact string(80) | Primary Contact
DefaultLocaleSidKey picklist(40) restricted | Locale
TimeZoneSidKey picklist(40) restricted | Time Zone
LanguageLocaleKey picklist(40) restricted | Language
ReceivesInfoEmails boolean true | Info Emails
ReceivesAdminInfoEmails boolean true | Info Emails Admin
PreferencesRequireOpportunityProducts boolean ro | RequireOpportunityProducts
PreferencesTransactionSecurityPolicy boolean ro | TransactionSecurityPolicy
PreferencesTerminateOldestSession boolean ro | TerminateOldestSession
PreferencesConsentManagementEnabled boolean ro | ConsentManagementEnabled
PreferencesAutoSelectIndividualOnMerge boolean ro | AutoSelectIndividualOnMerge
PreferencesLightningLoginEnabled boolean ro true | LightningLoginEnabled
PreferencesOnlyLLPermUserAllowed boolean ro | OnlyLLPermUserAllowed
FiscalYearStartMonth int | Fiscal Year Starts In
UsesStartDateAsFiscalYearName boolean | Fiscal Year Name by Start
DefaultAccountAccess picklist(40) ro restricted | Default Account Access
DefaultContactAccess picklist(40) ro restricted | Default Contact Access
DefaultOpportunityAccess picklist(40) ro restricted | Default Opportunity Access
DefaultLeadAccess picklist(40) ro restricted | Default Lead Access
DefaultCaseAccess picklist(40) ro restricted | Default Case Access
DefaultCalendarAccess picklist(40) ro restricted | Default Calendar Access
DefaultPricebookAccess picklist(40) ro restricted | Default Price Book Access
DefaultCampaignAccess picklist(40) ro restricted | Default Campaign Access
DelegatedAuthenticationServiceUrl url(255) ro | Delegated Authentication URL
SystemModstamp datetime auto ro | System Modstamp
ComplianceBccEmail email(80) | Compliance BCC Email
UiSkin picklist(40) restricted | UI Skin
SignupCountryIsoCode string(2) ro | Signup Country
TrialExpirationDate datetime ro | Trial Expiration Date
NumKnowledgeService int ro | Knowledge Licenses
OrganizationType picklist(40) ro restricted | Edition
NamespacePrefix string(15) ro | Namespace Prefix
InstanceName string(5) ro | Instance Name
IsSandbox boolean ro | Is Sandbox
WebToCaseDefaultOrigin string(40) | Web to Cases Default Origin
MonthlyPageViewsUsed int ro | Monthly Page Views Used
MonthlyPageViewsEntitlement int ro | Monthly Page Views Allowed
IsReadOnly boolean ro | Is Read Only
CreatedDate datetime auto ro | Created Date
CreatedById reference(User) auto ro rel=CreatedBy | Created By ID
LastModifiedDate datetime auto ro | Last Modified Date
LastModifiedById reference(User) auto ro rel=LastModifiedBy | Last Modified By ID
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

PERMISSION_SET = f"""
Name string(80) req noupdate | Permission Set Name
Label string(80) req name | Permission Set Label
LicenseId reference(PermissionSetLicense) noupdate norel | License ID
ProfileId reference(Profile) ro | Profile ID
IsOwnedByProfile boolean ro | Is Owned By Profile
IsCustom boolean ro true | Custom
Description string(255) | Description
NamespacePrefix string(15) ro | Namespace Prefix
PermissionsApiEnabled boolean | API Enabled
PermissionsApiUserOnly boolean | Api Only User
PermissionsViewAllData boolean | View All Data
PermissionsModifyAllData boolean | Modify All Data
PermissionsBulkApiHardDelete boolean | Bulk API Hard Delete
PermissionsConvertLeads boolean | Convert Leads
PermissionsEditReadonlyFields boolean | Edit Read Only Fields
PermissionsCustomizeApplication boolean | Customize Application
PermissionsModifyMetadata boolean | Modify Metadata Through Metadata API Functions
{AUDIT}
"""

ASSIGNMENT = """
PermissionSetId reference(PermissionSet) req noupdate children=Assignments cascade | PermissionSet ID
AssigneeId reference(User) req noupdate rel=Assignee children=PermissionSetAssignments | Assignee ID
SystemModstamp datetime auto ro | Date Assigned
"""

FIELD_PERMISSIONS = """
ParentId reference(PermissionSet) req noupdate rel=Parent children=FieldPerms cascade | Parent ID
SobjectType picklist(40) req noupdate | SObject Type Name
Field picklist(255) req noupdate | Field Name
PermissionsEdit boolean | Edit Field
PermissionsRead boolean | Read Field
SystemModstamp datetime auto ro | System Modstamp
"""

OBJECT_PERMISSIONS = f"""
ParentId reference(PermissionSet) req noupdate rel=Parent children=ObjectPerms cascade | Parent ID
SobjectType picklist(40) req noupdate | SObject Type Name
PermissionsCreate boolean | Create Records
PermissionsRead boolean | Read Records
PermissionsEdit boolean | Edit Records
PermissionsDelete boolean | Delete Records
PermissionsViewAllRecords boolean | Read All Records
PermissionsModifyAllRecords boolean | Edit All Records
{AUDIT}
"""

FISCAL_YEAR_SETTINGS = """
Name string(80) ro name | Name
Description string(255) ro | Description
StartDate date ro | Start Date
EndDate date ro | End Date
YearType picklist(40) ro restricted | Year Type
IsStandardYear boolean ro | Is Standard Year
PeriodId reference(Period) ro rel=Period | Period ID
QuarterLabelScheme picklist(40) ro restricted | Quarter Label Scheme
PeriodLabelScheme picklist(40) ro restricted | Period Label Scheme
WeekLabelScheme picklist(40) ro restricted | Week Label Scheme
QuarterPrefix picklist(40) ro | Quarter Prefix
PeriodPrefix picklist(40) ro | Period Prefix
WeekStartDay int ro | Week Start Day
SystemModstamp datetime auto ro | System Modstamp
"""

PERIOD = """
FiscalYearSettingsId reference(FiscalYearSettings) ro rel=FiscalYearSettings | Fiscal Year Settings ID
Type picklist(40) ro restricted | Type
StartDate date ro | Start Date
EndDate date ro | End Date
IsForecastPeriod boolean ro | Forecast Period
Number int ro | Number
QuarterLabel picklist(80) ro | Quarter Name
PeriodLabel picklist(80) ro | Period Name
FullyQualifiedLabel string(80) ro | Fully Qualified Label
SystemModstamp datetime auto ro | System Modstamp
"""

BUSINESS_HOURS = "\n".join(
    [
        "Name string(80) ro name | Business Hours Name",
        "IsActive boolean ro true | Active",
        "IsDefault boolean ro | Default Business Hours",
        *(
            f"{day}{end}Time time ro | {day} {end}"
            for day in ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
            for end in ("Start", "End")
        ),
        "TimeZoneSidKey picklist(40) ro restricted | Time Zone",
        AUDIT,
    ]
)

_SETUP = "undeletable mergeable searchable triggerable layoutable"

SETUP_TABLES: tuple[Table, ...] = (
    Table("User", "Users", "005", USER, without="deletable undeletable mergeable", more="feed_enabled", bin=False,
          links=("compactLayouts", "namedLayouts", "passwordUtilities", "quickActions", "layouts")),
    Table("Organization", "Organizations", "00D", ORGANIZATION, without=f"createable deletable {_SETUP}", bin=False),
    Table("RecordType", "Record Types", "012", RECORD_TYPE, without=f"deletable {_SETUP}", label="Record Type",
          bin=False),
    Table("Group", "Groups", "00G", GROUP, without=_SETUP, bin=False),
    Table("Profile", "Profile", "00e", PROFILE, without=f"createable deletable {_SETUP}", bin=False),
    Table("UserRole", "Role", "00E", ROLE_OF_USER, without="undeletable mergeable triggerable layoutable",
          label="Role", links=("compactLayouts",), bin=False),
    Table("PermissionSet", "Permission Sets", "0PS", PERMISSION_SET, without=_SETUP, label="Permission Set", bin=False),
    Table("PermissionSetAssignment", "Permission Set Assignments", "0Pa", ASSIGNMENT,
          without=f"updateable replicateable {_SETUP}", label="Permission Set Assignment", bin=False),
    Table("FieldPermissions", "Field Permissions", "01k", FIELD_PERMISSIONS, without=f"replicateable {_SETUP}",
          label="Field Permissions", bin=False),
    Table("ObjectPermissions", "Object Permissions", "110", OBJECT_PERMISSIONS, without=f"replicateable {_SETUP}",
          label="Object Permissions", bin=False),
    Table("FiscalYearSettings", "Fiscal Year Settings", "022", FISCAL_YEAR_SETTINGS,
          without=f"createable updateable deletable replicateable {_SETUP}", label="Fiscal Year Settings", bin=False),
    Table("Period", "Periods", "026", PERIOD, without=f"createable updateable deletable replicateable {_SETUP}",
          bin=False),
    Table("BusinessHours", "Business Hours", "01m", BUSINESS_HOURS,
          without=f"createable updateable deletable {_SETUP}", label="Business Hours", bin=False),
)  # fmt: skip
