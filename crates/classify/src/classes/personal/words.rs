//! The words for what is a person's.

use crate::classes::{Country, DataClass};
use crate::words::{Says, Words};

pub(crate) const WORDS: &Words = &[
    (
        Says::Names(DataClass::Email),
        "email mail emailaddress mailaddress emailadresse mailadresse courriel adressemail adresseemail correo \
         correoelectronico emailaddr posta postaelettronica epost epostadress eposta replyto mailto",
    ),
    (
        Says::Names(DataClass::Phone),
        "phone phonenumber phoneno telephone telephonenumber tel telnr telno mobile mobilenumber mobilephone cell cellphone \
         msisdn fax faxnumber whatsapp sms callerid caller contactnumber handy handynummer telefon telefonnummer \
         telefonnr rufnummer numerotelephone numerodetelephone portable telefono numerotelefono numerodetelefono movil \
         celular telefone numerotelefone telemovel cellulare telefoonnummer telefoon mobiel mobil gsm numertelefonu \
         komorka tlf telefonszam",
    ),
    (
        Says::Names(DataClass::PersonName),
        "firstname lastname givenname familyname surname forename fname lname fullname middlename maidenname nickname \
         legalname birthname personname cardholder cardholdername nameoncard accountholder accountholdername vorname \
         nachname familienname zuname prenom nomdefamille nomcomplet apellido apellidos primerapellido segundoapellido \
         nombrecompleto cognome sobrenome nomecompleto voornaam achternaam fornamn efternamn fornavn etternavn efternavn \
         imie nazwisko patientname",
    ),
    (
        Says::Suggests(DataClass::PersonName),
        "name username contactname contact customername customer clientname recipientname recipient sendername sender \
         authorname author ownername owner membername member employeename employee guestname guest passengername \
         passenger studentname student user person people patient holder beneficiary payee nom nombre nome naam namn \
         navn kunde kundenname ansprechpartner empfaenger empfanger utilisateur usuario cliente",
    ),
    (
        Says::Names(DataClass::PostalAddress),
        "streetaddress postaladdress homeaddress billingaddress shippingaddress mailingaddress deliveryaddress addressline \
         residentialaddress street streetname streetline strasse anschrift postanschrift lieferadresse rechnungsadresse \
         wohnadresse adressepostale rue voie domicilio calle direccionpostal direccionenvio indirizzo endereco rua \
         logradouro straat straatnaam gatuadress gatenavn ulica",
    ),
    (Says::Suggests(DataClass::PostalAddress), "address addr adresse adres adress direccion via place location"),
    (
        Says::Names(DataClass::BirthDate),
        "birthdate dateofbirth dob birthday birth bday birthyear yearofbirth born geburtsdatum geburtstag geburt \
         datedenaissance datenaissance naissance fechadenacimiento fechanacimiento nacimiento datadinascita datanascita \
         nascita datadenascimento datanascimento nascimento geboortedatum geboorte fodelsedatum fodselsdato \
         dataurodzenia",
    ),
    (
        Says::SuggestsPerson,
        "nationalid nationalidentifier nationalidnumber nationalidentitynumber personalid personalidnumber \
         personalidentitynumber personalnumber governmentid citizenid identitynumber identificationnumber idnumber idcard \
         idcardnumber taxid taxnumber taxpayerid nationalnumber",
    ),
    (
        Says::Names(DataClass::NationalId(Country::UnitedStates)),
        "ssn socialsecurity socialsecuritynumber socialsecurityno socialsecuritynum itin ssnitin",
    ),
    (Says::Names(DataClass::NationalId(Country::Spain)), "dni nie nif"),
    (Says::Names(DataClass::NationalId(Country::Italy)), "codicefiscale codfisc cf"),
    (
        Says::Names(DataClass::NationalId(Country::France)),
        "nir insee numsecu numerosecuritesociale numerodesecuritesociale",
    ),
    (Says::Names(DataClass::NationalId(Country::Netherlands)), "bsn burgerservicenummer sofinummer sofi"),
    (Says::Names(DataClass::NationalId(Country::Brazil)), "cpf"),
    (Says::Names(DataClass::NationalId(Country::Poland)), "pesel"),
    (Says::Names(DataClass::NationalId(Country::Sweden)), "personnummer personnr pnr samordningsnummer"),
    (
        Says::Names(DataClass::NationalId(Country::Germany)),
        "steuerid steueridnr steuernummer steueridentifikationsnummer idnr tin",
    ),
    (Says::Names(DataClass::NationalId(Country::UnitedKingdom)), "nino nationalinsurance nationalinsurancenumber"),
    (Says::Names(DataClass::NationalId(Country::India)), "aadhaar aadhar uidai aadhaarnumber"),
    (
        Says::Names(DataClass::NationalId(Country::Belgium)),
        "rijksregisternummer rijksregister numeroderegistrenational numeroregistrenational nrn niss insz",
    ),
    (Says::Names(DataClass::NationalId(Country::Canada)), "sin socialinsurance socialinsurancenumber nas"),
    (
        Says::Names(DataClass::NationalId(Country::China)),
        "shenfenzheng residentid residentidnumber residentidentitycard",
    ),
    (Says::Names(DataClass::NationalId(Country::Finland)), "hetu henkilotunnus personbeteckning"),
    (Says::Names(DataClass::NationalId(Country::Mexico)), "curp"),
    (Says::Names(DataClass::NationalId(Country::Norway)), "fodselsnummer fodselsnr dnummer"),
    (Says::Names(DataClass::NationalId(Country::Singapore)), "nric fin nricfin"),
    (Says::Names(DataClass::NationalId(Country::SouthAfrica)), "rsaid saidnumber southafricanid"),
    (
        Says::Names(DataClass::NationalId(Country::SouthKorea)),
        "rrn residentregistrationnumber juminnumber jumin jumindeungnok",
    ),
    (Says::Names(DataClass::NationalId(Country::Switzerland)), "ahv ahvnummer avs numeroavs ahvn13 navs oasi"),
    (Says::Names(DataClass::NationalId(Country::Thailand)), "thaiid thainationalid tnin"),
    (Says::Names(DataClass::NationalId(Country::Turkey)), "tckn tckimlik tckimlikno kimlikno kimliknumarasi kimlik"),
];
